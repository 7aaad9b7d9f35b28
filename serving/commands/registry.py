"""`thorax registry`: which bundles there are, which may serve, and what served when."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.bundle import Bundle, file_sha256, load_bundle, read_manifest
from models.errors import DataError, GateError, ModelNotFoundError, RegistryError
from models.registry import CANARY, CANDIDATE, PRODUCTION, ModelVersion, Registry, describe
from models.signing import make_key
from serving.settings import Settings, load_settings

if TYPE_CHECKING:
    from pandas import DataFrame

BUNDLES = Path("data/bundles")
EVALUATION = Path("data/evaluation")
RELEASED = Path("data/released")
SPLITS = Path("data/splits")
SHARDS = Path("data/shards")
AUDIT = Path("data/audit/summary.json")
RELEASED_AUDIT = RELEASED / "audit.json"
LOCK = Path("dvc.lock")
SERVES = (PRODUCTION, CANARY)
"""Aliases whose answers reach people: only through the gates."""
_CANARY_PERCENT = 10

app = typer.Typer(help="The model registry.", epilog="Example: thorax registry list", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Of the model.")]
Which = Annotated[str, typer.Argument(help="An alias or a version.")]
By = Annotated[str, typer.Option(help="Who does it, for the history.", default_factory=getuser, show_default="you")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]


def _registry(settings: Settings) -> Registry:
    return Registry(settings.registry_address, settings.registry_folder, settings.keys)


@app.command(name="list", epilog="Example: thorax registry list")
def list_models() -> None:
    """Every version of every model, the newest first."""
    registry = _registry(load_settings())
    for name in registry.names():
        for version in registry.versions(name):
            typer.echo(_line(version))


@app.command(epilog="Example: thorax registry show pneumonia production")
def show(name: Name, which: Which = PRODUCTION) -> None:
    """One version as JSON: aliases, digest, where it comes from, and the figures it was registered with."""
    registry = _registry(load_settings())
    version = registry.resolve(name, which)
    fields = {
        "name": version.name,
        "version": version.version,
        "aliases": version.aliases,
        "digest": version.digest,
        **version.facts,
        "registered": _time(version.created_seconds),
        "metrics": registry.figures(version),
    }
    typer.echo(json.dumps(fields))


@app.command(epilog="Example: thorax registry keygen")
def keygen() -> None:
    """Makes the key that signs what is registered and promoted here; its public half is trusted from now on.

    To change the key, move the old private one away and run this again: what it signed stays trusted until its public
    half is taken out of the folder of trusted keys.
    """
    keys = load_settings().keys
    public = make_key(keys.private, keys.trusted)
    typer.echo(f"{keys.private} signs from now on; {public} is trusted. Give the second file to other sites.")


@app.command(epilog="Example: thorax registry register pneumonia thoracic")
def register(
    names: Annotated[list[str], typer.Argument(help="Models whose bundles and figures are under data/.")],
    by: By,
    released: Annotated[
        bool, typer.Option("--released", help="Those that came with the project, in data/released.")
    ] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Even if code was not committed, which the registry records.")
    ] = False,
) -> None:
    """Registers and signs the bundles that `dvc repro` has left, with their figures; `candidate` then points to them.

    The same bundle stays the same version. Where something about one cannot be read, none is registered.
    """
    settings = load_settings()
    registry = _registry(settings)
    folder = RELEASED if released else BUNDLES
    documents = {name: _documents(name, released) for name in names}
    facts = {name: _facts(folder / name, allow_dirty) for name in names}
    for name in names:
        evidence = documents[name] | {"golden": _golden(load_bundle(folder / name, None, settings.engine))}
        figures = _figures(documents[name]["metrics"])
        typer.echo(_line(registry.register(folder / name, figures, by, facts[name], evidence)))


@app.command(epilog="Example: thorax registry promote pneumonia candidate --reason 'better at both margins'")
def promote(
    name: Name,
    by: By,
    which: Which = CANDIDATE,
    to: Annotated[str, typer.Option(help="The alias.")] = PRODUCTION,
    reason: Reason = "",
    override: Annotated[bool, typer.Option("--override", help="Even if gates fail; needs --reason.")] = False,
    percent: Annotated[
        int | None, typer.Option(min=1, max=99, help="Of the studies that a canary answers about; 10 if not said.")
    ] = None,
) -> None:
    """Lets an alias, by default the one that serves, point to a version that passes the gates of params.yaml."""
    if override and not reason:
        raise typer.BadParameter("--override needs a --reason, which the history keeps")
    if percent is not None and to != CANARY:
        raise typer.BadParameter(f"--percent is for --to {CANARY} only")
    settings = load_settings()
    registry = _registry(settings)
    version = registry.resolve(name, which)
    failed = _failed_gates(registry, version, settings) if to in SERVES else ()
    if failed and not override:
        raise GateError(name=name, version=version.version, failed=", ".join(failed))
    percent = (percent or _CANARY_PERCENT) if to == CANARY else None
    typer.echo(_line(registry.promote(version, by, reason, failed, to, percent)))


@app.command(epilog="Example: thorax registry withdraw pneumonia canary --reason 'seen enough'")
def withdraw(
    name: Name, alias: Annotated[str, typer.Argument(help="shadow or canary.")], by: By, reason: Reason = ""
) -> None:
    """Ends a trial: the alias points to nothing."""
    typer.echo(_line(_registry(load_settings()).withdraw(name, alias, by, reason)))


@app.command(epilog="Example: thorax registry rollback pneumonia --reason 'too many false alarms'")
def rollback(name: Name, by: By, reason: Reason = "") -> None:
    """Lets production point to what it pointed to before."""
    typer.echo(_line(_registry(load_settings()).rollback(name, by, reason)))


@app.command(epilog="Example: thorax registry history pneumonia --at 2026-03-01")
def history(
    name: Name,
    at: Annotated[
        datetime | None, typer.Option(help="Only what was in production then, at the end of a day or at a time (UTC).")
    ] = None,
) -> None:
    """Every change of a model's aliases, oldest first: when, what, by whom and why."""
    registry = _registry(load_settings())
    if at is not None:
        version = registry.version_at(name, _end(at))
        if version is None:
            raise ModelNotFoundError(wanted=f"version of {name} in production at {at}", known="see its history")
        known = {one.version: _line(one) for one in registry.versions(name)}
        typer.echo(known.get(version, f"{name}\t{version}\t\tdeleted since"))
        return
    entries = registry.history(name)
    if not entries:
        raise ModelNotFoundError(wanted=f"history of {name!r}", known=", ".join(registry.names()) or "no model")
    for entry in entries:
        typer.echo(describe(entry))


@app.command(epilog="Example: thorax registry verify")
def verify(names: Annotated[list[str] | None, typer.Argument(help="Models; all where none is named.")] = None) -> None:
    """Checks histories, aliases, files and signatures; exit code 1 where something is wrong."""
    registry = _registry(load_settings())
    problems = {name: registry.verify(name) for name in names or registry.names()}
    for name, of_name in problems.items():
        for problem in of_name:
            typer.echo(problem, err=True)
        if not of_name:
            typer.echo(f"{name}: history, aliases, files and signatures are as they should be")
    if any(problems.values()):
        raise typer.Exit(1)


@app.command(epilog="Example: thorax registry export pneumonia production pneumonia.tar")
def export(name: Name, which: Which, file: Annotated[Path, typer.Argument(help="To write.")]) -> None:
    """Writes a version into a single file for a site that no network reaches."""
    registry = _registry(load_settings())
    registry.export(registry.resolve(name, which), file)
    typer.echo(f"{file} holds it. The other site needs the public key that signed it, too.")


@app.command(name="import", epilog="Example: thorax registry import pneumonia.tar")
def import_(file: Annotated[Path, typer.Argument(help="Of `thorax registry export`.")], by: By) -> None:
    """Registers what another site exported, if a trusted key signed it; `candidate` then points to it."""
    typer.echo(_line(_registry(load_settings()).take_in(file, by)))


@app.command(epilog="Example: thorax registry prune pneumonia --days 365")
def prune(
    name: Name,
    by: By,
    days: Annotated[int, typer.Option(min=1, help="To keep what was registered, or lost its last alias.")] = 365,
) -> None:
    """Deletes the versions that no alias points to and none pointed to for a time; the history names them for ever."""
    for version in _registry(load_settings()).prune(name, timedelta(days=days), by):
        typer.echo(_line(version))


@app.command(epilog="Example: thorax registry compare thoracic candidate production")
def compare(
    name: Name,
    which: Which = CANDIDATE,
    against: Which = PRODUCTION,
) -> None:
    """Measures two versions of a model on this workspace's test images: a line a finding, with DeLong's paired test.

    Before that, where the first was a shadow of the second here: what both said about the same radiographs.
    """
    from pipelines import comparing

    settings = load_settings()
    registry = _registry(settings)
    versions = [registry.resolve(name, asked) for asked in (which, against)]
    _show_traffic(settings, *versions)
    one, other = (_load(registry, version, settings) for version in versions)
    table = comparing.compare(one, other, _test_rows(one.manifest.task), SHARDS)
    typer.echo(table.to_string(index=False, float_format="{:.3f}".format))
    if one.manifest.training.data != other.manifest.training.data:
        typer.echo("The two were trained on different data: either may know some of these test images.", err=True)


def _show_traffic(settings: Settings, shadow: ModelVersion, production: ModelVersion) -> None:
    from serving.shadow_log import ShadowLog, summary

    rows = ShadowLog(settings.registry_folder).read(shadow.name, production.digest, shadow.digest)
    if rows.empty:
        return
    typer.echo(f"As a shadow, version {shadow.version} beside version {production.version}:")
    typer.echo(summary(rows).to_string(index=False, float_format="{:.3f}".format))
    seconds = rows.drop_duplicates("radiograph")[["production_seconds", "shadow_seconds"]].median()
    typer.echo(f"Median seconds: production {seconds.iloc[0]:.3f}, shadow {seconds.iloc[1]:.3f}\n")


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


def _failed_gates(registry: Registry, version: ModelVersion, settings: Settings) -> tuple[str, ...]:
    """Prints what each gate found, and gives the names of those that fail."""
    from pipelines import comparing, promotion
    from pipelines.params import load_params

    params = load_params()
    bundle = _load(registry, version, settings)
    try:
        serving = registry.resolve(version.name, PRODUCTION)
    except ModelNotFoundError:
        serving = None
    if serving is None or serving.digest == version.digest:
        results = promotion.judge(bundle, registry.evidence(version), None, (), params.promote)
    else:
        other = _load(registry, serving, settings)

        def compared() -> "DataFrame":
            return comparing.compare(bundle, other, _test_rows(bundle.manifest.task), SHARDS)

        confounded = other.manifest.confounded
        results = promotion.judge(bundle, registry.evidence(version), compared, confounded, params.promote)
    typer.echo(promotion.table(results))
    return tuple(result.gate for result in results if not result.passes)


def _load(registry: Registry, version: ModelVersion, settings: Settings) -> Bundle:
    return load_bundle(registry.download(version), version.digest, settings.engine, settings.engine_threads)


def _line(version: ModelVersion) -> str:
    return f"{version.name}\t{version.version}\t{', '.join(version.aliases)}\t{version.digest}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _end(at: datetime) -> datetime:
    """A day without a time means its end: what was put into production on it counts."""
    whole_day = at == at.replace(hour=0, minute=0, second=0, microsecond=0)
    return at.replace(tzinfo=UTC) + (timedelta(days=1) if whole_day else timedelta())


def _facts(bundle: Path, allow_dirty: bool) -> dict[str, str]:
    """Where a bundle comes from; refuses code that nobody can check out again."""
    from pipelines.lineage import commit

    trained, checkout = read_manifest(bundle)[0].training.commit, commit()
    dirty = [words for words, of in (("was trained", trained), ("is registered", checkout)) if of.endswith("-dirty")]
    if dirty and not allow_dirty:
        reason = f"{bundle} {' and '.join(dirty)} with code that is not committed. Commit it, train again and register"
        raise RegistryError(reason=f"{reason}, or add --allow-dirty, which the registry records.")
    facts = {"checkout": checkout, "dirty": str(bool(dirty)).lower()}
    return facts | ({"dvc_lock": f"sha256:{file_sha256(LOCK)}"} if LOCK.exists() else {})


def _documents(name: str, released: bool) -> dict[str, Any]:
    """What the evaluate and the audit stage found."""
    if released:
        remedy = f"They come with the project: git checkout {RELEASED}"
        metrics, audit = RELEASED / f"{name}.metrics.json", RELEASED_AUDIT
    else:
        remedy, metrics, audit = "Run: dvc repro", EVALUATION / name / "metrics.json", AUDIT
    return {
        "metrics": _document(metrics, "the figures of the evaluate stage", remedy),
        "audit": _document(audit, "the summary of the audit stage", remedy),
    }


def _document(path: Path, what: str, remedy: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(reason=f"Expected {what} in {path}, but {error}. {remedy}") from error


def _golden(bundle: Bundle) -> list[dict[str, Any]]:
    from pipelines.promotion import golden_predictions

    return golden_predictions(bundle)


def _figures(metrics: dict[str, Any]) -> dict[str, float]:
    """The figures of all images of each split, and of the probes, by their path; everything else is evidence only."""
    figures = dict(_flat(metrics.get("probes", {}), "probes/"))
    for name, branch in metrics.items():
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
