"""`thorax data`: the publishers' files."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from models.errors import DataError

RAW = Path("data/raw")

app = typer.Typer(help="Data sources and their files.", epilog="Example: thorax data list", no_args_is_help=True)


@app.command(name="list", epilog="Example: thorax data list")
def list_sources() -> None:
    """Every data source, with the findings it labels and whether its files are here."""
    from pipelines.sources import SOURCES

    for name, source in SOURCES.items():
        here = "drawn by dvc repro" if source.drawn else "here" if (RAW / name).is_dir() else "not fetched"
        typer.echo(f"{name}\t{here}\t{', '.join(source.findings)}")


@app.command(epilog="Example: thorax data fetch kermany --from ~/Downloads/kermany")
def fetch(
    source: Annotated[str, typer.Argument(help="A source of `thorax data list`.")],
    origin: Annotated[str, typer.Option("--from", help="The folder that holds the publisher's files.")],
) -> None:
    """Copies a source's files into data/raw, whole or not at all, and hands them to DVC."""
    from pipelines.sources import find_source

    folder = RAW / source
    found = find_source(source)
    if found.drawn:
        raise DataError(reason=f"{source} is drawn by `dvc repro`; there is nothing to fetch.")
    found.fetch(origin, folder)
    # As a module, so that it is found where this virtual environment is not activated.
    dvc = [sys.executable, "-P", "-m", "dvc", "add", str(folder)]
    tracked = subprocess.run(dvc, capture_output=True, text=True, check=False)
    if tracked.returncode:
        raise DataError(reason=f"{folder} is complete, but DVC does not track it: {tracked.stderr.strip()}")
    typer.echo(f"{folder} is here. Name {source} under sources in params.yaml and run: dvc repro")
