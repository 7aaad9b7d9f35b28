"""The load: as many clients as are wanted, each of which asks again as soon as it is answered."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests.bench.peers.film import Message

CLIENTS = 16
_SCRIPT = Path(__file__).with_name("post.lua")
_PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Load:
    """What came of it."""

    answers: int
    failed: int
    seconds: float

    @property
    def a_second(self) -> float:
        return self.answers / self.seconds


def is_installed() -> bool:
    return shutil.which("wrk") is not None


def load(url: str, message: Message, seconds: float, clients: int = CLIENTS) -> Load:
    """Sends the same message again and again.

    Raises:
        RuntimeError: an answer was none, or another than 200.
    """
    with NamedTemporaryFile() as body:
        body.write(message.body)
        body.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:.0f}s", f"--timeout={_PATIENCE_SECONDS}s"]
        command += ["-s", str(_SCRIPT), url, "--", body.name, message.content_type]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    made = Load(**json.loads(said.splitlines()[-1]))
    if made.failed:
        raise RuntimeError(f"Expected answers of {url} only, but received:\n{said}")
    return made
