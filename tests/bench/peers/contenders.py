"""Who is measured beside the service, each in an environment of its own: BentoML would break Ray's.

Each comes with the settings that its documentation recommends for a network on two processors and that are worth a
trial; the fastest in a trial on the spot takes part.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import httpx

from tests.bench.peers.film import Message, as_form, film
from tests.bench.peers.processes import end
from tests.conftest import free_port

_ROOT = Path(__file__).parents[3]
_ENVIRONMENTS = _ROOT / ".thorax/bench"
_CHAIN = ("numpy", "openvino", "pebble", "pillow", "pydantic", "pydicom", "pylibjpeg", "scipy")
_START_SECONDS = 300
Settings = dict[str, str]


@dataclass(frozen=True)
class Peer:
    """A contender.

    Attributes:
        packages: that its environment holds besides those of the chain; none where it runs in this one.
        command: of its interpreter; the port is a variable.
        ready: the path that answers 200 once it can answer.
        field: of the form that it takes a file in; empty where it takes the file itself.
        settings: to be tried, as variables.
    """

    packages: tuple[str, ...]
    command: tuple[str, ...]
    ready: str
    field: str
    settings: tuple[Settings, ...]

    def message(self) -> Message:
        return as_form(film(), self.field) if self.field else film()


_WHOLE = {"WORKERS": "1", "WEB_CONCURRENCY": "1", "ENGINE_THREADS": "0"}
_HALVES = {"WORKERS": "2", "WEB_CONCURRENCY": "2", "ENGINE_THREADS": "1"}

GRADIO = "Gradio and model.predict"
PEERS = {
    "FastAPI": Peer(
        packages=("fastapi", "uvicorn[standard]"),
        command=("-m", "uvicorn", "tests.bench.peers.fastapi_app:app", "--loop=uvloop", "--log-level=warning"),
        ready="/docs",
        field="",
        settings=(
            _WHOLE | {"THREADS": "2", "CROWDED": "0"},
            _WHOLE | {"THREADS": "2", "CROWDED": "1"},
            _WHOLE | {"THREADS": "4", "CROWDED": "1"},
            _HALVES | {"THREADS": "1", "CROWDED": "0"},
        ),
    ),
    "BentoML": Peer(
        packages=("bentoml",),
        command=("-m", "bentoml", "serve", "tests.bench.peers.bentoml_app:Thorax", "--host=127.0.0.1"),
        ready="/readyz",
        field="files",
        settings=(
            _WHOLE | {"BATCH": "4", "THREADS": "1"},
            _WHOLE | {"BATCH": "16", "THREADS": "2"},
            _HALVES | {"BATCH": "4", "THREADS": "1"},
            _HALVES | {"BATCH": "1", "THREADS": "2"},
        ),
    ),
    "LitServe": Peer(
        packages=("litserve", "pyzmq"),
        command=("-m", "tests.bench.peers.litserve_app"),
        ready="/health",
        field="",
        settings=(
            _WHOLE | {"BATCH": "4", "BATCH_SECONDS": "0.01", "FAST_QUEUE": "0"},
            _WHOLE | {"BATCH": "16", "BATCH_SECONDS": "0.01", "FAST_QUEUE": "1"},
            _HALVES | {"BATCH": "4", "BATCH_SECONDS": "0.01", "FAST_QUEUE": "1"},
            _HALVES | {"BATCH": "1", "BATCH_SECONDS": "0", "FAST_QUEUE": "1"},
        ),
    ),
    GRADIO: Peer(
        packages=(),
        command=("-m", "tests.bench.peers.gradio_app"),
        ready="/",
        field="files",  # of the upload that goes before the call
        settings=({},),
    ),
}


@contextmanager
def running(name: str, settings: Settings) -> Iterator[str]:
    """The address at which a contender answers.

    Raises:
        RuntimeError: it does not start.
        CalledProcessError: its environment cannot be made; uv has said why.
    """
    peer, port = PEERS[name], free_port()
    ports = {name: str(port) for name in ("PORT", "UVICORN_PORT", "BENTOML_PORT")}
    bentoml = {"BENTOML_HOME": str(_ENVIRONMENTS / "home"), "BENTOML_DO_NOT_TRACK": "True"}
    variables = settings | ports | bentoml | {"PYTHONPATH": str(_ROOT)}
    command = [str(_python(name)), "-P", *peer.command]
    with TemporaryFile() as log:
        process = subprocess.Popen(command, env=os.environ | variables, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, address + peer.ready)
            yield address
        except RuntimeError:
            log.seek(0)
            sys.stderr.write(log.read().decode())
            raise
        finally:
            end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client() as client:  # one for all tries: making one costs more than asking
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if client.get(url).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    raise RuntimeError(f"Expected an answer of {url}, but it did not start.")


def _python(name: str) -> Path:
    """Its interpreter; the environment is made at the first time."""
    packages = PEERS[name].packages
    if not packages:
        return Path(sys.executable)
    folder = _ENVIRONMENTS / name
    made = folder / "made"
    python = folder / "bin/python"
    if not made.exists():
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([*uv, "pip", "install", "--python", str(python), *_CHAIN, *packages], check=True)
        made.touch()
    return python
