"""What the registry knows about one registered bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import ModelNotFoundError


@dataclass(frozen=True, slots=True)
class Registered:
    """A version as it was registered; it never changes.

    Attributes:
        name: of the model.
        version: counts from "1".
        digest: of the bundle.
        facts: where it comes from: `commit` of the code that trained it, hash of `dvc_lock`, digest of the `data`, who
            signed it, and what else was known.
        created_seconds: since 1970, when.
    """

    name: str
    version: str
    digest: str
    facts: Mapping[str, str]
    created_seconds: float


@dataclass(frozen=True, slots=True)
class ModelVersion(Registered):
    """A version and the aliases that point to it now."""

    aliases: tuple[str, ...] = ()


def labelled(versions: Sequence[ModelVersion], name: str, version_or_alias: str) -> ModelVersion:
    """The one of a model's versions with that number or alias.

    Raises:
        ModelNotFoundError: there is none.
    """
    for version in versions:
        if version_or_alias == version.version or version_or_alias in version.aliases:
            return version
    known = ", ".join(f"{v.name}@{label}" for v in versions for label in (v.version, *v.aliases))
    raise ModelNotFoundError(wanted=f"{name}@{version_or_alias}", known=known or "nothing of that name")
