"""The chain behind LitServe, which gathers batches and hands files to its workers."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import litserve
from fastapi import Body, Response

from tests.bench.peers.chain import Chain, Read

BATCH = int(os.environ["BATCH"])


class Thorax(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.chain = Chain(int(os.environ["ENGINE_THREADS"]))
        self.readers = ThreadPoolExecutor(2)

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        return request

    def batch(self, inputs: Sequence[bytes]) -> list[Read]:
        return list(self.readers.map(self.chain.read, inputs))

    def predict(self, inputs: bytes | list[Read]) -> str | list[str]:
        return self.chain.answer(inputs) if isinstance(inputs, bytes) else self.chain.answers(inputs)

    def unbatch(self, output: list[str]) -> list[str]:
        return output

    def encode_response(self, output: str) -> Response:
        return Response(output, media_type="application/json")


if __name__ == "__main__":
    served = Thorax(max_batch_size=BATCH, batch_timeout=float(os.environ["BATCH_SECONDS"]))
    workers, fast = int(os.environ["WORKERS"]), os.environ["FAST_QUEUE"] == "1"
    server = litserve.LitServer(served, accelerator="cpu", devices=1, workers_per_device=workers, fast_queue=fast)
    port, log = int(os.environ["PORT"]), "warning"
    server.run("127.0.0.1", port, num_api_servers=1, log_level=log, generate_client_file=False)
