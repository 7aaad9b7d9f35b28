"""Shards give back every grey level of what was packed, and only what is asked for."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.radiograph import from_grey_levels
from pipelines.shards import ShardWriter, pack, read_shards, unpack


@pytest.mark.parametrize(
    ("levels", "mode"),
    [
        (np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16), "L"),
        (np.arange(65536, dtype=np.uint16).reshape(256, 256), "I;16"),
        (np.array([[0, 65534], [1, 65535]], np.uint16), "I;16"),
    ],
)
def test_every_grey_level_survives_in_as_few_bits_as_it_needs(levels, mode):
    radiograph = from_grey_levels(levels)
    packed = pack("a.png", radiograph)
    assert packed.image == "a.png"
    assert Image.open(io.BytesIO(packed.png)).mode == mode
    unpacked = unpack(packed.png)
    assert unpacked.pixels.dtype == np.float32
    assert np.array_equal(unpacked.pixels, radiograph.pixels)


def packed(number):
    """A picture whose every pixel is its number."""
    return pack(f"{number}.png", from_grey_levels(np.full((2, 3), number, np.uint16)))


def test_only_the_named_images_are_given_in_the_shards_order(tmp_path):
    with ShardWriter(tmp_path / "shards") as writer:
        writer.write([packed(3), packed(1)])
        writer.write([packed(2), packed(0)])
    found = list(read_shards(tmp_path / "shards", {"0.png", "3.png", "2.png", "9.png"}))
    assert [image for image, _ in found] == ["3.png", "2.png", "0.png"]
    assert [float(radiograph.pixels[0, 0] * 65535) for _, radiograph in found] == [3, 2, 0]


def test_a_shard_holds_32_groups(tmp_path):
    with ShardWriter(tmp_path) as writer:
        for number in range(33):
            writer.write([packed(number)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.parquet", "00001.parquet"]
    assert pq.read_metadata(tmp_path / "00000.parquet").num_row_groups == 32
    assert pq.read_metadata(tmp_path / "00001.parquet").num_row_groups == 1
    everything = {f"{number}.png" for number in range(33)}
    assert [image for image, _ in read_shards(tmp_path, everything)] == [f"{number}.png" for number in range(33)]


def test_a_source_without_readable_images_has_no_shards(tmp_path):
    with ShardWriter(tmp_path / "shards"):
        pass
    assert list(read_shards(tmp_path / "shards", {"a.png"})) == []
