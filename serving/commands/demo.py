"""`python -m serving.commands.demo [--once]`: the last step of `make demo`, a real radiograph through the service."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import typer

from models.errors import ThoraxError, UnreadableFileError
from serving.commands.serve import announce
from serving.settings import load_settings

# A computed radiograph of a chest (PA, MONOCHROME1) that the package pydicom-data carries.
CHEST = "RG1_UNCR.dcm"


def demo(once: bool) -> None:
    """Starts the service, asks each model about the radiograph, prints the answers, and serves on unless `once`."""
    from serving.service import running

    settings = load_settings()
    chest = _chest()
    with running(settings) as address:
        for model in settings.models:
            route = f"{address}/v1/predictions?model={model.partition('@')[0]}"
            answer = httpx.post(route, content=chest.read_bytes(), timeout=60)
            typer.echo(f"\nPOST {route}  {chest.name}  ->  {answer.status_code}\n{compact(answer.json())}\n")
            if answer.is_server_error:  # a refusal of the picture is an answer, too
                answer.raise_for_status()
        announce(settings, address)
        if not once:
            typer.echo("Ctrl-C stops it.")
            signal.pause()


def compact(answer: dict[str, Any]) -> str:
    """The answer as JSON, with a line a member and a line an entry of a list."""
    lines = []
    for name, value in answer.items():
        entries = ",\n".join(f"    {json.dumps(entry)}" for entry in value) if isinstance(value, list) else ""
        lines.append(f"  {json.dumps(name)}: " + (f"[\n{entries}\n  ]" if entries else json.dumps(value)))
    return "{\n" + ",\n".join(lines) + "\n}"


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
