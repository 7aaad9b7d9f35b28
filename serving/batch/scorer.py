"""The actor of Ray Data that reads and scores; paths come in and rows go out, pictures never leave it."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from models.errors import OutputError, RadiographError, TooLargeError, UnreadableFileError
from models.reading import ReadingLimits
from serving.answering import prediction_response
from serving.batch import rows
from serving.batch.inputs import Reader
from serving.batch.model import load_packed
from serving.batcher import Batcher
from serving.readers import Readers
from serving.schemas import ModelName
from serving.settings import Settings

_AT_ONCE = 4
"""Radiographs that are scored together; on a processor, more of them take longer each."""
UNDER_WAY = 16
"""Files between reading and answer: enough for a store that is far away, few enough for memory."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a scorer needs to know.

    Attributes:
        model: which bundle answers.
        settings: of engine, threads and limits.
        reader: of the files; None where their contents come with their paths.
    """

    model: ModelName
    settings: Settings
    reader: Reader | None

    @property
    def limits(self) -> ReadingLimits:
        """What is refused unread."""
        return ReadingLimits(self.settings.max_upload_bytes, self.settings.max_pixels)


class Scorer:
    """Reads ahead while the engine scores what is ready; several calls at a time share both.

    Args:
        work: what to do.
        packed: the bundle, in Ray's object store.
    """

    def __init__(self, work: Work, packed: Any) -> None:
        import ray

        files: Mapping[str, bytes] = ray.get(packed)
        settings = work.settings
        self._work = work
        self._bundle = load_packed(files, work.model.digest, settings.engine, settings.engine_threads)
        self._schema = rows.schema(self._bundle.manifest.findings)
        self._readers = Readers(work.limits, settings.reading_workers, settings.request_timeout_seconds)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._batcher = Batcher(_AT_ONCE, wait_seconds=0, workers=settings.engine_threads)
        self._under_way = asyncio.Semaphore(UNDER_WAY)

    def __call__(self, files: pa.Table) -> pa.Table:
        """Rows of files, whose table has `file`, `size` and, where there is no reader, `data`."""
        made = asyncio.run_coroutine_threadsafe(self._rows(files), self._loop).result()
        return pa.Table.from_pylist(made, self._schema)

    async def _rows(self, files: pa.Table) -> list[dict[str, Any]]:
        return await asyncio.gather(*(self._row(files.slice(number, 1)) for number in range(len(files))))

    async def _row(self, one: pa.Table) -> dict[str, Any]:
        async with self._under_way:
            file = one["file"][0].as_py()
            try:
                contents = await self._contents(file, one)
                read = await self._readers.ready(contents, self._bundle.manifest.preprocessing)
                scored = await self._batcher.score(self._bundle, read)
                answer = prediction_response(self._bundle, self._work.model, scored.prediction, scored.reading.tags)
            except (RadiographError, UnreadableFileError, OutputError) as error:
                return rows.failed(file, self._work.model, error)
            return rows.answered(file, answer)

    async def _contents(self, file: str, one: pa.Table) -> bytes:
        size, most = one["size"][0].as_py(), self._work.limits.max_bytes
        if size > most:
            raise TooLargeError(limit=most, unit="bytes", received=size)
        if self._work.reader is not None:
            return await asyncio.to_thread(self._work.reader.read, file)
        data: bytes | None = one["data"][0].as_py()
        if data is None:
            raise UnreadableFileError(path=file, reason="it is a link or a device inside its archive")
        return data
