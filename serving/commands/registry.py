"""`thorax registry`: which bundles there are, and which may serve."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import DataError
from models.findings import find_task
from models.registry import CANDIDATE, PRODUCTION, ModelVersion, Registry
from serving.settings import load_settings

BUNDLES = Path("data/bundles")
EVALUATION = Path("data/evaluation")

app = typer.Typer(help="The model registry.", epilog="Example: thorax registry list", no_args_is_help=True)


def _registry() -> Registry:
    settings = load_settings()
    return Registry(settings.registry_address, settings.registry_folder)


@app.command(name="list", epilog="Example: thorax registry list")
def list_models() -> None:
    """Every version of every model, the newest first."""
    registry = _registry()
    for name in registry.names():
        for version in registry.versions(name):
            typer.echo(_line(version))


@app.command(epilog="Example: thorax registry show pneumonia production")
def show(
    name: Annotated[str, typer.Argument(help="Of the model.")],
    which: Annotated[str, typer.Argument(help="An alias or a version.")] = PRODUCTION,
) -> None:
    """One version as JSON: aliases, digest, commit and the figures it was registered with."""
    typer.echo(_json(_registry().resolve(name, which)))


@app.command(epilog="Example: thorax registry register pneumonia")
def register(
    task: Annotated[str, typer.Argument(help="Whose bundle and figures `dvc repro` has left under data/.")],
) -> None:
    """Registers a task's bundle with its figures and lets the alias candidate point to it.

    The same bundle stays the same version.
    """
    find_task(task)
    registry = _registry()
    figures = dict(_flat(_read(EVALUATION / task / "metrics.json")))
    version = registry.register(BUNDLES / task, figures)
    typer.echo(_line(registry.set_alias(task, CANDIDATE, version.version)))


@app.command(epilog="Example: thorax registry promote pneumonia candidate")
def promote(
    name: Annotated[str, typer.Argument(help="Of the model.")],
    which: Annotated[str, typer.Argument(help="An alias or a version.")] = CANDIDATE,
    to: Annotated[str, typer.Option(help="The alias.")] = PRODUCTION,
) -> None:
    """Lets an alias, by default the one that serves, point to a version."""
    registry = _registry()
    typer.echo(_line(registry.set_alias(name, to, registry.resolve(name, which).version)))


def _line(version: ModelVersion) -> str:
    return f"{version.name}\t{version.version}\t{', '.join(version.aliases)}\t{version.digest}"


def _json(version: ModelVersion) -> str:
    fields = {field: getattr(version, field) for field in ModelVersion.__dataclass_fields__}
    return json.dumps(fields | {"metrics": dict(version.metrics)})


def _read(metrics: Path) -> dict[str, Any]:
    try:
        tree: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            reason=f"Expected the figures of the evaluate stage in {metrics}, but {error}. Run: dvc repro"
        ) from error
    return tree


def _flat(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """The figures of all images of each split by their path; undefined ones and subgroups stay in the file."""
    for key, value in tree.items():
        if isinstance(value, dict) and not key.startswith("by_"):
            yield from _flat(value, f"{path}{key}/")
        elif isinstance(value, (int, float)):
            yield f"{path}{key}", float(value)
