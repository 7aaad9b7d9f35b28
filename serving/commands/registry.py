"""`thorax registry`: which bundles there are, and which may serve."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.bundle import load_bundle
from models.errors import DataError
from models.registry import CANDIDATE, PRODUCTION, ModelVersion, Registry
from serving.settings import Settings, load_settings

if TYPE_CHECKING:
    from pandas import DataFrame

BUNDLES = Path("data/bundles")
EVALUATION = Path("data/evaluation")
RELEASED = Path("data/released")
SPLITS = Path("data/splits")
SHARDS = Path("data/shards")

app = typer.Typer(help="The model registry.", epilog="Example: thorax registry list", no_args_is_help=True)


def _registry(settings: Settings) -> Registry:
    return Registry(settings.registry_address, settings.registry_folder)


@app.command(name="list", epilog="Example: thorax registry list")
def list_models() -> None:
    """Every version of every model, the newest first."""
    registry = _registry(load_settings())
    for name in registry.names():
        for version in registry.versions(name):
            typer.echo(_line(version))


@app.command(epilog="Example: thorax registry show pneumonia production")
def show(
    name: Annotated[str, typer.Argument(help="Of the model.")],
    which: Annotated[str, typer.Argument(help="An alias or a version.")] = PRODUCTION,
) -> None:
    """One version as JSON: aliases, digest, commit and the figures it was registered with."""
    typer.echo(_json(_registry(load_settings()).resolve(name, which)))


@app.command(epilog="Example: thorax registry register pneumonia thoracic")
def register(
    names: Annotated[list[str], typer.Argument(help="Models whose bundles and figures are under data/.")],
    released: Annotated[
        bool, typer.Option("--released", help="Those that came with the project, in data/released.")
    ] = False,
) -> None:
    """Registers the bundles that `dvc repro` has left, with their figures; the alias candidate then points to them.

    The same bundle stays the same version. Where the figures of one cannot be read, none is registered.
    """
    registry = _registry(load_settings())
    read = _released_figures if released else _evaluated_figures
    figures = {name: read(name) for name in names}
    for name, of_name in figures.items():
        version = registry.register((RELEASED if released else BUNDLES) / name, of_name)
        typer.echo(_line(registry.set_alias(version.name, CANDIDATE, version.version)))


@app.command(epilog="Example: thorax registry promote pneumonia candidate")
def promote(
    name: Annotated[str, typer.Argument(help="Of the model.")],
    which: Annotated[str, typer.Argument(help="An alias or a version.")] = CANDIDATE,
    to: Annotated[str, typer.Option(help="The alias.")] = PRODUCTION,
) -> None:
    """Lets an alias, by default the one that serves, point to a version."""
    registry = _registry(load_settings())
    typer.echo(_line(registry.set_alias(name, to, registry.resolve(name, which).version)))


@app.command(epilog="Example: thorax registry compare thoracic candidate production")
def compare(
    name: Annotated[str, typer.Argument(help="Of the model.")],
    which: Annotated[str, typer.Argument(help="An alias or a version.")] = CANDIDATE,
    against: Annotated[str, typer.Argument(help="An alias or a version.")] = PRODUCTION,
) -> None:
    """Measures two versions of a model on this workspace's test images: a line a finding, with DeLong's paired test."""
    from pipelines import comparing

    settings = load_settings()
    registry = _registry(settings)
    versions = [registry.resolve(name, asked) for asked in (which, against)]
    one, other = (
        load_bundle(registry.download(version), version.digest, settings.engine, settings.engine_threads)
        for version in versions
    )
    table = comparing.compare(one, other, _test_rows(one.manifest.task), SHARDS)
    typer.echo(table.to_string(index=False, float_format="{:.3f}".format))
    if one.manifest.training.data != other.manifest.training.data:
        typer.echo("The two were trained on different data: either may know some of these test images.", err=True)


def _test_rows(task: str) -> "DataFrame":
    """The test images of a task, all of which are there."""
    import pandas as pd

    split = SPLITS / f"{task}.parquet"
    try:
        rows = pd.read_parquet(split)
    except (OSError, ValueError) as error:
        raise DataError(reason=f"Expected the split of the task in {split}, but {error}. Run: dvc repro") from error
    rows = rows[rows["split"] == "test"]
    missing = [str(SHARDS / name) for name in rows["source"].unique() if not (SHARDS / name).is_dir()]
    if missing:
        raise DataError(reason=f"Expected decoded images in {', '.join(missing)}, but found none. Run: dvc repro")
    return rows


def _line(version: ModelVersion) -> str:
    return f"{version.name}\t{version.version}\t{', '.join(version.aliases)}\t{version.digest}"


def _json(version: ModelVersion) -> str:
    fields = {field: getattr(version, field) for field in ModelVersion.__dataclass_fields__}
    return json.dumps(fields | {"metrics": dict(version.metrics)})


def _evaluated_figures(name: str) -> dict[str, float]:
    return _figures(EVALUATION / name / "metrics.json", "Run: dvc repro")


def _released_figures(name: str) -> dict[str, float]:
    return _figures(RELEASED / f"{name}.metrics.json", f"They come with the project: git checkout {RELEASED}")


def _figures(metrics: Path, remedy: str) -> dict[str, float]:
    """The figures of all images of each split, and of the probes, by their path; everything else stays in the file."""
    try:
        tree = json.loads(metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = f"Expected the figures of the evaluate stage in {metrics}, but {error}. {remedy}"
        raise DataError(reason=reason) from error
    figures = dict(_flat(tree.get("probes", {}), "probes/"))
    for name, branch in tree.items():
        if isinstance(branch, dict) and "overall" in branch:
            figures |= _flat(branch["overall"], f"{name}/overall/")
    return figures


def _flat(tree: dict[str, Any], path: str) -> Iterator[tuple[str, float]]:
    """The finite numbers of a tree by their path."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{path}{key}", float(value)
