"""The service follows the registry: what the aliases point to is downloaded, verified and written down to serve."""

from threading import Event, Thread
from typing import Any

from ray import serve

from models.bundle import CARD, read_manifest
from models.errors import BundleError, RegistryError, SettingsError, ThoraxError
from models.registry import Registry
from monitoring.backends import RayRecorder
from monitoring.metrics import REGISTRY_UP
from serving.lineup import Lineup, Standing, read_lineup, write_lineup
from serving.logs import logger
from serving.schemas import ModelDescription
from serving.settings import Settings

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


def follow(settings: Settings) -> Lineup:
    """What the registry says is to serve, downloaded, verified and written down; a damaged copy is replaced.

    Raises:
        RegistryError, BundleError: see `first_lineup`; what was written down before stays.
    """
    registry = Registry(settings.registry_address, settings.registry_folder, settings.keys)
    lineup = Lineup(asked=settings.models, models=tuple(_standing(registry, asked) for asked in settings.models))
    write_lineup(settings, lineup)
    return lineup


def _standing(registry: Registry, asked: str) -> Standing:
    name, _, alias = asked.partition("@")
    version = registry.resolve(name, alias)
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
    return Standing(alias=alias, bundle=bundle, description=description)


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
        self._recorder.set(REGISTRY_UP, 1)
        Thread(target=self._run, name="following", daemon=True).start()

    def reconfigure(self, user_config: dict[str, float]) -> None:
        """Takes `poll_seconds` over, and asks the registry now: this is how `serve deploy` pushes a promotion."""
        self._poll_seconds = user_config.get("poll_seconds", self._poll_seconds)
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._poll_seconds)
            self._wake.clear()
            try:
                follow(self._settings)
            except ThoraxError as error:
                self._recorder.set(REGISTRY_UP, 0)
                log.error("registry not followed", serving="what was verified last", code=error.code, reason=str(error))
            except Exception:  # whatever a library fails with: the next round may succeed, and the alarm tells
                self._recorder.set(REGISTRY_UP, 0)
                log.exception("registry not followed", serving="what was verified last")
            else:
                self._recorder.set(REGISTRY_UP, 1)


def follower(settings: Settings) -> Any:
    """A `Follower` bound for deployment, once for all replicas."""
    deployment = serve.deployment(Follower, name="follower", ray_actor_options={"num_cpus": 0.1})
    return deployment.bind(settings)
