"""What serves here, as a file: the follower writes what the registry says, replicas and the front door read it.

With the bundles beside it, that is all that serving needs: while the registry is away, also after a restart, what was
verified last goes on serving.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import SettingsError
from serving.schemas import ModelDescription, ModelName
from serving.settings import Settings


class Standing(BaseModel):
    """One model that serves.

    Attributes:
        alias: it was asked for by; its version where it was asked for by number.
        description: for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alias: str
    description: ModelDescription

    @property
    def name(self) -> ModelName:
        """As answers name it."""
        of = self.description
        return ModelName(name=of.name, version=of.version, digest=of.digest)


class Canary(BaseModel):
    """A version that answers instead of another about some studies.

    Attributes:
        standing: the version.
        percent: of the studies.
        since: number of the entry of its history with which this began.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    standing: Standing
    percent: int
    since: int

    @property
    def trial(self) -> tuple[str, int]:
        """What tells it from every other: the model and the entry of its history."""
        return self.standing.name.name, self.since


class Lineup(BaseModel):
    """What serves, the default first.

    Attributes:
        asked: `THORAX_MODELS` as it was when the registry was asked.
        models: in that order.
        canaries: of some of them.
        shadows: of some of them; their answers are compared and reach nobody.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: tuple[str, ...]
    models: tuple[Standing, ...]
    canaries: tuple[Canary, ...] = ()
    shadows: tuple[Standing, ...] = ()

    def of(self, name: str) -> Standing:
        """The model of that name, which is one of those asked for."""
        return next(standing for standing in self.models if standing.name.name == name)

    def canary_of(self, name: str) -> Canary | None:
        """The canary of a model."""
        return next((canary for canary in self.canaries if canary.standing.name.name == name), None)

    def shadow_of(self, name: str) -> Standing | None:
        """The shadow of a model."""
        return next((standing for standing in self.shadows if standing.name.name == name), None)

    @property
    def answering(self) -> tuple[Standing, ...]:
        """Everything whose answers reach people, the models first."""
        return (*self.models, *(canary.standing for canary in self.canaries))


def lineup_path(settings: Settings) -> Path:
    """The file of the service at this port."""
    return settings.registry_folder / "serving" / f"{settings.port}.json"


def read_lineup(settings: Settings) -> Lineup:
    """What serves here, or served last.

    Raises:
        SettingsError: there is no such file yet, or it is of other settings.
    """
    path = lineup_path(settings)
    try:
        lineup = Lineup.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise SettingsError(where=path, reason="expected what served here last, but there is nothing") from error
    if lineup.asked != settings.models:
        asked, now = ", ".join(lineup.asked), ", ".join(settings.models)
        raise SettingsError(where=path, reason=f"expected what served here last of {now}, but received {asked}")
    return lineup


def write_lineup(settings: Settings, lineup: Lineup) -> None:
    """Replaces the file at once."""
    path = lineup_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(lineup.model_dump_json(), encoding="utf-8")
    draft.replace(path)
