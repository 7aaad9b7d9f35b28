"""`python -m serving.commands.demo [--once]`: the last step of `make demo`, a real radiograph through the service."""

import json
import signal
import sys
from pathlib import Path

import httpx
import typer

from models.errors import ThoraxError, UnreadableFileError
from serving.commands.serve import announce
from serving.settings import load_settings

# A computed radiograph of a chest (PA, MONOCHROME1) that the package pydicom-data carries.
CHEST = "RG1_UNCR.dcm"


def demo(once: bool) -> None:
    """Starts the service, sends it the radiograph, prints the answer, and serves on unless `once`."""
    from serving.service import running

    settings = load_settings()
    chest = _chest()
    with running(settings) as address:
        answer = httpx.post(f"{address}/v1/predictions", content=chest.read_bytes(), timeout=60)
        typer.echo(f"\nPOST {address}/v1/predictions  {chest.name}  ->  {answer.status_code}")
        typer.echo(json.dumps(answer.raise_for_status().json(), indent=2))
        announce(settings, address)
        if not once:
            typer.echo("Ctrl-C stops it.")
            signal.pause()


def _chest() -> Path:
    from pydicom.data import get_testdata_file

    found = get_testdata_file(CHEST, download=False)
    if found is None:
        raise UnreadableFileError(path=CHEST, reason="the package pydicom-data is not installed; run make demo")
    return Path(str(found))


if __name__ == "__main__":
    try:
        demo(once="--once" in sys.argv[1:])
    except ThoraxError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        typer.echo("Stopped.")
