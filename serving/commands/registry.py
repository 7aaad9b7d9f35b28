"""`thorax registry`: which bundles there are, and which may serve."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import DataError
from models.registry import PRODUCTION, ModelVersion, Registry
from serving.settings import load_settings

app = typer.Typer(help="The model registry.", no_args_is_help=True)


def _registry() -> Registry:
    settings = load_settings()
    return Registry(settings.registry_address, settings.registry_folder)


@app.command(name="list", epilog="Example: thorax registry list")
def list_models() -> None:
    """Every version of every model, the newest first."""
    registry = _registry()
    for name in registry.names():
        for version in registry.versions(name):
            typer.echo(f"{name}\t{version.version}\t{', '.join(version.aliases)}\t{version.digest}")


@app.command(epilog="Example: thorax registry show pneumonia production")
def show(
    name: Annotated[str, typer.Argument(help="Of the model.")],
    which: Annotated[str, typer.Argument(help="An alias or a version.")] = PRODUCTION,
) -> None:
    """One version as JSON: aliases, digest, commit and the figures it was registered with."""
    typer.echo(_json(_registry().resolve(name, which)))


@app.command(epilog="Example: thorax registry register data/bundles/pneumonia data/evaluation/pneumonia/metrics.json")
def register(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    metrics: Annotated[Path, typer.Argument(help="What the evaluate stage wrote about it.")],
) -> None:
    """Registers a bundle with its figures as the next version of its task; the same bundle stays the same version."""
    typer.echo(_json(_registry().register(bundle, dict(_flat(_read(metrics))))))


@app.command(epilog="Example: thorax registry promote pneumonia 1")
def promote(
    name: Annotated[str, typer.Argument(help="Of the model.")],
    version: Annotated[str, typer.Argument(help="To point to.")],
    to: Annotated[str, typer.Option(help="The alias.")] = PRODUCTION,
) -> None:
    """Lets an alias, by default the one that serves, point to a version."""
    typer.echo(_json(_registry().set_alias(name, to, version)))


def _json(version: ModelVersion) -> str:
    fields = {field: getattr(version, field) for field in ModelVersion.__dataclass_fields__}
    return json.dumps(fields | {"metrics": dict(version.metrics)})


def _read(metrics: Path) -> dict[str, Any]:
    try:
        tree: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(reason=f"Expected the JSON of the evaluate stage in {metrics}, but {error}.") from error
    return tree


def _flat(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """The figures of all images of each split by their path; undefined ones and subgroups stay in the file."""
    for key, value in tree.items():
        if isinstance(value, dict) and not key.startswith("by_"):
            yield from _flat(value, f"{path}{key}/")
        elif isinstance(value, (int, float)):
            yield f"{path}{key}", float(value)
