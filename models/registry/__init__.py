"""The model registry: which bundles there are, which may serve, and what served when."""

from models.registry.history import Action, Entry, describe
from models.registry.registry import CANARY, CANDIDATE, PREVIOUS, PRODUCTION, SHADOW, Registry
from models.registry.version import ModelVersion

__all__ = [
    "CANARY",
    "CANDIDATE",
    "PREVIOUS",
    "PRODUCTION",
    "SHADOW",
    "Action",
    "Entry",
    "ModelVersion",
    "Registry",
    "describe",
]
