"""What the registry knows about one registered bundle."""

from collections.abc import Mapping
from dataclasses import dataclass


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
