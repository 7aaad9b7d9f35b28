"""The chain behind BentoML, with its adaptive batches."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bentoml

from serving.schemas import PredictionResponse
from tests.bench.peers.chain import Chain


@bentoml.service(
    workers=int(os.environ["WORKERS"]),
    threads=int(os.environ["THREADS"]),
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Thorax:
    def __init__(self) -> None:
        self.chain = Chain(int(os.environ["ENGINE_THREADS"]))
        self.readers = ThreadPoolExecutor(2)

    @bentoml.api(batchable=os.environ["BATCH"] != "1", max_batch_size=max(2, int(os.environ["BATCH"])))
    def predict(self, files: list[Path]) -> list[PredictionResponse]:
        return self.chain.responses(list(self.readers.map(self._read, files)))

    def _read(self, file: Path):
        return self.chain.read(file.read_bytes())
