"""One real service for all tests of its door and its metrics: Ray, HAProxy, FastAPI and the small bundle."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from models.registry import ModelVersion
from tests.conftest import free_port

_START_SECONDS = 180


@dataclass(frozen=True)
class Service:
    address: str
    metrics: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
def service(
    production: ModelVersion, registry_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """`thorax serve`, as a user starts it."""
    port, metrics_port = free_port(), free_port()
    settings = {
        "THORAX_PORT": str(port),
        "THORAX_METRICS_PORT": str(metrics_port),
        "THORAX_REGISTRY_FOLDER": str(registry_folder),
        "THORAX_MAX_UPLOAD_BYTES": str(16 * 2**20),
    }
    environment = os.environ | settings
    log = tmp_path_factory.mktemp("service") / "log"
    command = [Path(sys.executable).with_name("thorax"), "serve"]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(process, f"{address}/readyz", log)
            yield Service(address, f"http://127.0.0.1:{metrics_port}/metrics", environment)
        finally:
            process.terminate()
            process.wait(60)
    assert process.returncode == 0, log.read_text()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"the service did not start:\n{log.read_text()}")
