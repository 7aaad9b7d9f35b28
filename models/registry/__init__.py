"""The model registry: which bundles there are, which may serve, and what served when."""

from models.registry.history import CANARY, Action, Entry, Trial, describe
from models.registry.registry import CANDIDATE, PREVIOUS, PRODUCTION, SHADOW, TRIALS, Registry, kept_bundle
from models.registry.version import ModelVersion, labelled

__all__ = [
    "CANARY",
    "CANDIDATE",
    "PREVIOUS",
    "PRODUCTION",
    "SHADOW",
    "TRIALS",
    "Action",
    "Entry",
    "ModelVersion",
    "Registry",
    "Trial",
    "describe",
    "kept_bundle",
    "labelled",
]
