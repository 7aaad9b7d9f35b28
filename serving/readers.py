"""Files become model inputs, where neither a large file nor one that crashes its decoder holds up or harms another."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from pebble import ProcessExpired, ProcessPool

from models.errors import MalformedFileError
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph, RadiographTags
from models.raster import raster_format, raster_shape
from models.reading import ReadingLimits, read_radiograph

_SMALL_PX = 2048 * 2048


@dataclass(frozen=True, slots=True)
class Film:
    """What a heat map is laid over.

    Attributes:
        radiograph: the whole of it.
        region: left, top, right and bottom edge, px, of what the model sees of it.
    """

    radiograph: Radiograph
    region: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file gave.

    Attributes:
        tags: what is known besides the pixels.
        model_input: (H, W, C) float32, as the weights want it.
        film: where it was asked for.
        decode_seconds, preprocess_seconds: that it took.
    """

    tags: RadiographTags
    model_input: NDArray[np.float32]
    film: Film | None
    decode_seconds: float
    preprocess_seconds: float


def read(data: bytes, preprocessor: Preprocessor, limits: ReadingLimits, with_film: bool = False) -> Reading:
    """Decodes and preprocesses a PNG, JPEG or DICOM file in this very thread.

    Args:
        data: the whole file.
        preprocessor: of the bundle that is asked.
        limits: what is refused unread.
        with_film: whether the radiograph itself is wanted, too.

    Raises:
        RadiographError: the file is no readable, usable radiograph.
    """
    started = perf_counter()
    radiograph = read_radiograph(data, limits)
    decoded = perf_counter()
    film = Film(radiograph, preprocessor.region(radiograph)) if with_film else None
    model_input = preprocessor(radiograph, film.region if film else None)
    return Reading(radiograph.tags, model_input, film, decoded - started, perf_counter() - decoded)


class Readers:
    """Small PNG and JPEG are read by whoever scores them; DICOM, and all that is large, before and by processes.

    A DICOM file may hold any of a dozen encodings, some of whose decoders are C code that a malicious file may crash:
    then its process ends, the file is refused, and another process takes its place. Pillow's PNG and JPEG decoders are
    fuzzed by others around the clock, and handing a picture to a process and back is spared.

    Args:
        limits: what is refused unread.
        workers: how many processes; 0 for as many as processors.
        timeout_seconds: after which a process that still reads is ended.
    """

    def __init__(self, limits: ReadingLimits, workers: int, timeout_seconds: float) -> None:
        self._limits = limits
        self._timeout_seconds = timeout_seconds
        self._workers = workers or os.cpu_count() or 1
        # Not forked: this process has threads. The server that the others are forked from has imported the readers.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._processes = ProcessPool(self._workers, context=context)

    def begin(self) -> None:
        """Returns once the processes can read, so that the first file does not wait for them."""
        for job in [self._processes.schedule(os.getpid) for _ in range(self._workers)]:
            job.result()

    async def ready(self, data: bytes, preprocessor: Preprocessor, with_film: bool = False) -> Callable[[], Reading]:
        """What gives the same as `read` when it is called, and raises the same, also where a decoder crashed.

        Raises:
            RadiographError: a file that a process has read already is no readable, usable radiograph.
        """
        if _is_small(data):
            return partial(read, data, preprocessor, self._limits, with_film)
        arguments = (data, preprocessor, self._limits, with_film)
        with _refusing():
            job = self._processes.schedule(read, args=arguments, timeout=self._timeout_seconds)
            reading: Reading = await asyncio.wrap_future(job)
        return lambda: reading

    def radiograph(self, data: bytes) -> Radiograph:
        """The radiograph in a file, whatever its size read by a process while this thread waits; raises as `read`."""
        with _refusing():
            job = self._processes.schedule(read_radiograph, args=(data, self._limits), timeout=self._timeout_seconds)
            radiograph: Radiograph = job.result()
        return radiograph

    def close(self) -> None:
        """Ends the processes; whatever they read is given up."""
        self._processes.stop()
        self._processes.join()


@contextmanager
def _refusing() -> Iterator[None]:
    """A file whose process ended before it did is refused like any other that cannot be decoded."""
    try:
        yield
    except ProcessExpired as error:
        raise MalformedFileError(format="PNG, JPEG or DICOM", reason="its decoder crashed") from error
    except TimeoutError as error:
        raise MalformedFileError(format="PNG, JPEG or DICOM", reason="its decoder did not end") from error


def _is_small(data: bytes) -> bool:
    """Whether it is a PNG or JPEG of at most four megapixels, or one that cannot even be begun."""
    raster = raster_format(data)
    if raster is None:
        return False
    try:
        height, width = raster_shape(data, raster)
    except MalformedFileError:
        return True
    return height * width <= _SMALL_PX
