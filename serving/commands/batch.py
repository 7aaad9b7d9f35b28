"""`thorax batch`: scores whole archives, by the same bundle and the same code as the service."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.errors import SettingsError
from serving.batch.inputs import Input, TarStream, find_input
from serving.batch.model import pack
from serving.batch.output import Output, opened
from serving.batch.quiet import quiet
from serving.batch.run import score
from serving.batch.scorer import Work
from serving.loading import find_model
from serving.settings import load_settings

EXAMPLE = "Example: thorax batch s3://hospital/2026 scores --model thoracic@production"


def batch(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A folder, a zip or tar archive, or a prefix of S3 (s3://...).")
    ],
    output: Annotated[str, typer.Argument(help="A folder for parquet files: new, or one that was begun.")],
    model: Annotated[
        str | None, typer.Option(help="NAME[@ALIAS or @VERSION] of the registry, or the path of a bundle.")
    ] = None,
) -> None:
    """Findings of every file, a row each, in OUTPUT; a file that fails is a row with its error.

    A run that was stopped goes on where it stopped. Ray does the work: on the cluster that RAY_ADDRESS names, whose
    machines see INPUT under the same path, or else on this machine.
    """
    settings = load_settings()
    folder = _apart(source, output)
    found = find_input(source)
    bundle, name = find_model(settings, model or settings.models[0])
    work = Work(name, settings, None if isinstance(found.source, TarStream) else found.source)
    with opened(folder, _run(found, work)) as written:
        files = [file for file in found.sizes if file not in written.codes]
        before = len(written.codes)
        if files:
            with quiet(), _progress(len(found.sizes), len(found.sizes) - len(files)) as advance:
                written.fill(score(found, files, work, pack(bundle)), advance)
        typer.echo(_summary(written, before, found.left_out, folder))
    if written.failed:
        raise typer.Exit(1)


def _apart(source: str, output: str) -> Path:
    """The output's folder, which a later run must not find among the radiographs."""
    folder = Path(output)
    if "://" in output:
        reason = f"expected a folder of this machine, but received {output}; copy it there afterwards"
        raise SettingsError(where="OUTPUT", reason=reason)
    if "://" not in source and folder.resolve().is_relative_to(Path(source).resolve()):
        raise SettingsError(where="OUTPUT", reason=f"expected a folder outside {source}, but received {output}")
    return folder


def _run(found: Input, work: Work) -> dict[str, Any]:
    """What shapes every row of an output."""
    return {
        "input": found.address,
        **work.model.model_dump(),
        "engine": work.settings.engine,
        "max_upload_bytes": work.settings.max_upload_bytes,
        "max_pixels": work.settings.max_pixels,
        "release": version("thoracic-disease-platform"),
    }


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("radiographs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda count: bar.advance(task, count)


def _summary(written: Output, before: int, left_out: int, folder: Path) -> str:
    failed = written.failed
    codes = ", ".join(f"{code} {count}" for code, count in failed.most_common())
    return (
        f"{folder} holds {len(written.codes)} files ({before} from before): "
        f"{len(written.codes) - failed.total()} answered, {failed.total()} refused{f' ({codes})' if codes else ''}; "
        f"hidden and system files left out: {left_out}."
    )
