"""Files are read where neither a large one nor one that crashes its decoder harms another."""

import asyncio
import os
import time
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from models.errors import MalformedFileError, UnknownFormatError
from models.reading import ReadingLimits, read_radiograph_file
from serving.readers import Readers, read


@dataclass(frozen=True)
class Crashing:
    """Stands for a preprocessor, and ends its process as a decoder's invalid access to memory would."""

    def __call__(self, _radiograph, _region):
        os.abort()


@dataclass(frozen=True)
class Endless:
    def __call__(self, _radiograph, _region):
        time.sleep(3600)


async def reading(readers, data, preprocessor, with_film=False):
    return (await readers.ready(data, preprocessor, with_film))()


@pytest.fixture(scope="module")
def readers():
    readers = Readers(ReadingLimits(), workers=2, timeout_seconds=60)
    yield readers
    readers.close()


@pytest.fixture(scope="module")
def preprocessor(manifest):
    return manifest.preprocessing


@pytest.fixture(scope="module")
def png():
    file = BytesIO()
    Image.linear_gradient("L").save(file, "PNG")
    return file.getvalue()


def test_a_file_gives_the_same_wherever_it_is_read(readers, preprocessor, chest_dicom, png):
    for data in (png, chest_dicom.read_bytes()):
        here = read(data, preprocessor, ReadingLimits())
        there = asyncio.run(reading(readers, data, preprocessor))
        assert (there.model_input == here.model_input).all()
        assert there.tags == here.tags
        assert there.film is None


def test_the_radiograph_comes_along_where_it_is_asked_for(readers, preprocessor, chest_dicom):
    film = asyncio.run(reading(readers, chest_dicom.read_bytes(), preprocessor, with_film=True)).film
    radiograph = read_radiograph_file(chest_dicom)
    assert (film.radiograph.levels == radiograph.levels).all()
    assert film.region == preprocessor.region(radiograph)


def test_errors_arrive_as_they_were_raised(readers, preprocessor, chest_dicom):
    with pytest.raises(UnknownFormatError):
        asyncio.run(reading(readers, b"no radiograph", preprocessor))
    with pytest.raises(MalformedFileError):
        asyncio.run(reading(readers, chest_dicom.read_bytes()[:-1000], preprocessor))


def test_a_file_that_crashes_its_decoder_is_refused_and_its_neighbours_are_read(readers, preprocessor, chest_dicom):
    data = chest_dicom.read_bytes()

    async def ask():
        asked = [reading(readers, data, Crashing() if number in {2, 5} else preprocessor) for number in range(8)]
        return await asyncio.gather(*asked, return_exceptions=True)

    outcomes = asyncio.run(ask())
    refused = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    assert refused == [2, 5]
    assert isinstance(outcomes[2], MalformedFileError)
    assert "crashed" in str(outcomes[2])
    assert outcomes[3].model_input.dtype == np.float32


def test_a_decoder_that_does_not_end_is_ended(preprocessor, chest_dicom):
    readers = Readers(ReadingLimits(), workers=1, timeout_seconds=5)
    data = chest_dicom.read_bytes()
    try:
        with pytest.raises(MalformedFileError, match="did not end"):
            asyncio.run(reading(readers, data, Endless()))
        assert asyncio.run(reading(readers, data, preprocessor)).model_input.any()
    finally:
        readers.close()


def test_large_files_do_not_hold_up_small_ones(preprocessor, chest_dicom, png):
    readers = Readers(ReadingLimits(), workers=1, timeout_seconds=60)

    async def ask():
        await asyncio.to_thread(readers.begin)
        held_up = [asyncio.create_task(reading(readers, chest_dicom.read_bytes(), Endless())) for _ in range(4)]
        await asyncio.sleep(0.1)
        small = await asyncio.wait_for(reading(readers, png, preprocessor), 30)
        for task in held_up:
            task.cancel()
        return small

    try:
        assert asyncio.run(ask()).model_input.any()
    finally:
        readers.close()
