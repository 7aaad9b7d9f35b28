"""Chest radiographs as they should not come: turned, inverted, a detail of one, two on one film."""

from collections.abc import Sequence

import numpy as np

from models.radiograph import Radiograph
from pipelines.decoys.film import HEIGHT_PX, resized


def turned(chests: Sequence[Radiograph], rng: np.random.Generator) -> Radiograph:
    """A chest lying on either side, or standing on its head."""
    levels = _any(chests, rng).levels
    turns = levels.T[::-1], levels[::-1, ::-1], levels.T[:, ::-1]
    return Radiograph(turns[rng.integers(len(turns))].copy())


def inverted(chests: Sequence[Radiograph], rng: np.random.Generator) -> Radiograph:
    """A chest with dark bones."""
    levels = _any(chests, rng).levels
    return Radiograph(np.iinfo(levels.dtype).max - levels)


def detail(chests: Sequence[Radiograph], rng: np.random.Generator) -> Radiograph:
    """A corner or another part of a chest, at most a third of each side."""
    levels = _any(chests, rng).levels
    part = [max(1, int(side * rng.uniform(0.15, 0.33))) for side in levels.shape]
    # Clipped, so that every second one lies at an edge.
    places = np.clip(rng.uniform(-0.5, 1.5, 2), 0, 1)
    top, left = (np.subtract(levels.shape, part) * places).astype(int)
    return Radiograph(levels[top : top + part[0], left : left + part[1]].copy())


def two_up(chests: Sequence[Radiograph], rng: np.random.Generator) -> Radiograph:
    """Two chests side by side, each half as wide as it should be."""
    halves = [resized(_any(chests, rng).pixels, HEIGHT_PX // 2, HEIGHT_PX) for _ in range(2)]
    return Radiograph((np.hstack(halves) * 255).round().astype(np.uint8))


def _any(chests: Sequence[Radiograph], rng: np.random.Generator) -> Radiograph:
    return chests[int(rng.integers(len(chests)))]
