"""The service follows the registry: what the aliases point to is downloaded, verified and written down to serve."""

from collections.abc import Sequence
from threading import Event, Thread
from time import monotonic
from typing import Any

from ray import serve

from models.bundle import CARD, read_manifest
from models.errors import BundleError, RegistryError, SettingsError, ThoraxError
from models.registry import CANARY, PRODUCTION, SHADOW, ModelVersion, Registry, labelled
from monitoring.backends import RayRecorder
from monitoring.metrics import REGISTRY_UP
from serving.canary import read_stop
from serving.lineup import Canary, Lineup, Standing, read_lineup, write_lineup
from serving.logs import logger
from serving.priority import step_back
from serving.schemas import ModelDescription, ModelName
from serving.settings import Settings

_VERIFY_SECONDS = 600.0
"""After which the kept bundles are verified once more, and replaced where they were damaged."""

log = logger()


def first_lineup(settings: Settings) -> Lineup:
    """What is to serve from now on: as the registry says, or as it was last if the registry is away or damaged.

    Raises, where nothing served here before:
        RegistryError: the registry cannot be reached, does not hold a model, or its history was changed.
        BundleError: what it gave is not what was registered and signed.
    """
    try:
        return follow(settings)
    except (RegistryError, BundleError) as error:
        try:
            lineup = read_lineup(settings)
        except SettingsError:
            raise error from None
        log.warning("registry not followed", serving="what was verified last", code=error.code, reason=str(error))
        return lineup


def follow(settings: Settings, verified: Lineup | None = None) -> Lineup:
    """What the registry says is to serve, downloaded, verified and written down; a damaged copy is replaced.

    What cannot be had stays as it was, trials too, and the others go on.

    Args:
        settings: of the service.
        verified: whose bundles need not be verified again; whoever loads one verifies it in any case.

    Raises:
        RegistryError, BundleError: the first of what went wrong; what could be had is written down.
    """
    registry = Registry(settings.registry_address, settings.registry_folder, settings.keys)
    try:
        before = read_lineup(settings)
    except SettingsError:
        before = Lineup(asked=settings.models, models=())
    followed = _Followed(registry, before, verified)
    for asked in settings.models:
        followed.add(asked)
    lineup = Lineup(
        asked=settings.models,
        models=tuple(followed.models),
        canaries=tuple(followed.canaries),
        shadows=tuple(followed.shadows),
    )
    write_lineup(settings, lineup)
    if followed.errors:
        raise followed.errors[0]
    return lineup


class _Followed:
    """What is to serve, as it is found out model by model, and what went wrong."""

    def __init__(self, registry: Registry, before: Lineup, verified: Lineup | None) -> None:
        self._registry = registry
        self._before = before
        known = (*verified.answering, *verified.shadows) if verified else ()
        self._verified = {(standing.name.reference, standing.alias): standing for standing in known}
        self.models: list[Standing] = []
        self.canaries: list[Canary] = []
        self.shadows: list[Standing] = []
        self.errors: list[RegistryError | BundleError] = []

    def add(self, asked: str) -> None:
        name, _, alias = asked.partition("@")
        try:
            versions = self._registry.versions(name)
        except RegistryError as error:
            self._keep(name, alias, error)
            return
        try:
            standing = self._standing(labelled(versions, name, alias), alias)
        except (RegistryError, BundleError) as error:
            standing = self._before_of(name, error)
        self.models.append(standing)
        if alias == PRODUCTION:
            self._add_shadow(standing.name, versions)
            self._add_canary(standing.name, versions)

    def _keep(self, name: str, alias: str, error: RegistryError) -> None:
        self.models.append(self._before_of(name, error))
        if alias == PRODUCTION:
            shadow, canary = self._before.shadow_of(name), self._before.canary_of(name)
            self.shadows += [shadow] if shadow else []
            self.canaries += [canary] if canary else []

    def _before_of(self, name: str, error: RegistryError | BundleError) -> Standing:
        """What served before, which goes on in spite of the error; raises it where nothing did."""
        if name not in {one.name.name for one in self._before.models}:
            raise error
        self.errors.append(error)
        return self._before.of(name)

    def _add_shadow(self, production: ModelName, versions: Sequence[ModelVersion]) -> None:
        try:
            shadow = self._trial(production, versions, SHADOW)
        except (RegistryError, BundleError) as error:
            self.errors.append(error)
            shadow = self._before.shadow_of(production.name)
        self.shadows += [shadow] if shadow else []

    def _add_canary(self, production: ModelName, versions: Sequence[ModelVersion]) -> None:
        canary = self._before.canary_of(production.name)
        try:
            standing = self._trial(production, versions, CANARY)
            trial = self._registry.trial(production.name) if standing else None
            if trial is None or standing is None:
                canary = None
            elif trial.version == standing.name.version:  # else it changed between the two questions: next time
                canary = Canary(standing=standing, percent=trial.percent, since=trial.since)
        except (RegistryError, BundleError) as error:
            self.errors.append(error)
        self.canaries += [canary] if canary else []

    def _trial(self, production: ModelName, versions: Sequence[ModelVersion], alias: str) -> Standing | None:
        """What an alias points to; None where it points to nothing, or to what is in production."""
        version = next((version for version in versions if alias in version.aliases), None)
        if version is None or version.digest == production.digest:
            return None
        return self._standing(version, alias)

    def _standing(self, version: ModelVersion, alias: str) -> Standing:
        known = self._verified.get((f"{version.name}@{version.digest}", alias))
        if known is None:
            return _downloaded(self._registry, version, alias)
        description = known.description.model_copy(
            update={"version": version.version, "aliases": list(version.aliases)}
        )
        return known.model_copy(update={"description": description})


def withdraw_stopped(settings: Settings) -> None:
    """Takes the alias from each canary that the service has stopped; where that fails, it stays stopped here only.

    Signing it needs the private key, which not every service has; then a person has to withdraw it.
    """
    registry = Registry(settings.registry_address, settings.registry_folder, settings.keys)
    for canary in read_lineup(settings).canaries:
        stop = read_stop(settings, canary)
        if stop is not None:
            try:
                registry.withdraw(
                    stop.name, CANARY, f"the service at {settings.host}:{settings.port}", stop.reason, stop.since
                )
            except RegistryError as error:
                remedy = f"thorax registry withdraw {stop.name} {CANARY}"
                log.warning("canary not withdrawn", stopped="here", reason=str(error), run=remedy)


def _downloaded(registry: Registry, version: ModelVersion, alias: str) -> Standing:
    bundle = registry.download(version)
    manifest, _ = read_manifest(bundle, version.digest)
    description = ModelDescription(
        name=version.name,
        version=version.version,
        aliases=list(version.aliases),
        digest=version.digest,
        findings=list(manifest.findings),
        age_group=manifest.age_group,
        confounded=list(manifest.confounded),
        metrics=registry.figures(version),
        card=(bundle / CARD).read_text(encoding="utf-8"),
    )
    return Standing(alias=alias, description=description)


class Follower:
    """Asks the registry again and again, and at once when it is configured anew.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._poll_seconds = settings.registry_poll_seconds
        self._wake = Event()
        self._recorder = RayRecorder((REGISTRY_UP,))
        Thread(target=self._run, name="following", daemon=True).start()

    def reconfigure(self, user_config: dict[str, float]) -> None:
        """Takes `poll_seconds` over, and asks the registry now: this is how `serve deploy` pushes a promotion."""
        self._poll_seconds = user_config.get("poll_seconds", self._poll_seconds)
        self._wake.set()

    def _run(self) -> None:
        step_back()
        verified, until = None, 0.0
        while True:
            try:
                if monotonic() > until:
                    verified, until = None, monotonic() + _VERIFY_SECONDS
                withdraw_stopped(self._settings)
                verified = follow(self._settings, verified)
            except ThoraxError as error:
                self._recorder.set(REGISTRY_UP, 0)
                log.error("registry not followed", serving="what was verified last", code=error.code, reason=str(error))
            except Exception:  # whatever a library fails with: the next round may succeed, and the alarm tells
                self._recorder.set(REGISTRY_UP, 0)
                log.exception("registry not followed", serving="what was verified last")
            else:
                self._recorder.set(REGISTRY_UP, 1)
            self._wake.wait(self._poll_seconds)
            self._wake.clear()


def follower(settings: Settings) -> Any:
    """A `Follower` bound for deployment, once for all replicas."""
    deployment = serve.deployment(Follower, name="follower", ray_actor_options={"num_cpus": 0})
    return deployment.bind(settings)
