"""`thorax data`: the publishers' files."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from models.errors import DataError

RAW = Path("data/raw")
CARDS = Path("data/sources")

app = typer.Typer(help="Data sources and their files.", epilog="Example: thorax data list", no_args_is_help=True)


@app.command(name="list", epilog="Example: thorax data list")
def list_sources() -> None:
    """Every data source: whether its files are here, the findings it labels, its licence."""
    from pipelines.sources import SOURCES
    from pipelines.sources.card import load_card

    for name, source in SOURCES.items():
        here = "drawn by dvc repro" if source.drawn else "here" if (RAW / name).is_dir() else "not fetched"
        licence = load_card(CARDS / f"{name}.yaml").licence
        typer.echo(f"{name}\t{here}\t{', '.join(source.findings)}\t{licence}")


@app.command(epilog="Example: thorax data fetch kermany --from ~/Downloads/kermany")
def fetch(
    source: Annotated[str, typer.Argument(help="A source of `thorax data list`.")],
    origin: Annotated[
        str, typer.Option("--from", help="A folder, an archive (zip, tar, tar.gz), or a URL of one (https://, s3://).")
    ],
    checksum: Annotated[
        str | None, typer.Option(help="sha256:... or md5:... as its publisher gives it, where the origin is one file.")
    ] = None,
) -> None:
    """Brings a source's files into data/raw, checked, whole or not at all, and hands them to DVC.

    A fetch that broke off goes on where it stopped.
    """
    from pipelines import fetching
    from pipelines.origins import without_secrets
    from pipelines.sources import find_source
    from pipelines.sources.card import load_card

    folder = RAW / source
    found = find_source(source)
    if found.drawn:
        raise DataError(reason=f"{source} is drawn by `dvc repro`; there is nothing to fetch.")
    fetched = fetching.fetch(found, load_card(CARDS / f"{source}.yaml"), origin, folder, checksum)
    _track(
        folder,
        {
            "origin": without_secrets(origin),
            "fetched": datetime.now(UTC).date().isoformat(),
            "files": fetched.files,
            "bytes": fetched.bytes,
            "verified": fetched.verified,
        },
    )
    typer.echo(
        f"{folder} is here: {fetched.files} files of {fetched.bytes} bytes; checksums verified: {fetched.verified}; "
        f"hidden and system files left out: {fetched.left_out}. "
        f"Name {source} under sources in params.yaml and run: dvc repro"
    )


def _track(folder: Path, meta: dict[str, Any]) -> None:
    """Hands a folder to DVC; its .dvc file also says where it comes from."""
    # As a module, so that it is found where this virtual environment is not activated.
    dvc = [sys.executable, "-P", "-m", "dvc", "add", str(folder)]
    tracked = subprocess.run(dvc, capture_output=True, text=True, check=False)
    if tracked.returncode:
        raise DataError(reason=f"{folder} is complete, but DVC does not track it: {tracked.stderr.strip()}")
    record = folder.with_name(f"{folder.name}.dvc")
    document = yaml.safe_load(record.read_text(encoding="utf-8")) | {"meta": meta}
    record.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
