"""Figures as places on a drawing: an axis, and curves with no more points than can be seen."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.evaluate.samples import Estimate

_POINTS = 120


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to 1 that is `length` px long.

    Attributes:
        low: in [0, 1), a multiple of 0.1.
        length: in px.
    """

    low: float
    length: float

    def at(self, value: float) -> float:
        """Where a value stands, in px; what lies outside stands at the end."""
        return round((min(max(value, self.low), 1.0) - self.low) / (1 - self.low) * self.length, 1)

    @property
    def ticks(self) -> list[float]:
        """Multiples of 0.1; of 0.5 on a long axis."""
        step = 1 if self.low >= 0.3 else 5
        return [tenths / 10 for tenths in range(10, round(self.low * 10) - 1, -step)][::-1]


def axis_of(estimates: Iterable[Estimate], length: float) -> Axis:
    """The shortest axis that begins at 0.5 or below and holds all figures and their intervals."""
    bounds = [bound for estimate in estimates for bound in estimate.values() if bound is not None]
    return Axis(min(0.5, math.floor(min(bounds, default=0.5) * 10) / 10), length)


def end_of(values: Iterable[float]) -> float:
    """Of an axis from 0 that holds all values in [0, 1], a multiple of 0.1."""
    return max(1, math.ceil(max(values) * 10)) / 10


def curve(x: Sequence[float], y: Sequence[float], side: float, end: float = 1.0) -> list[tuple[float, float]]:
    """Places in a square, in px from its upper left corner; at most 120 of them.

    Args:
        x: (n,) in [0, end].
        y: (n,) in [0, end].
        side: of the square, in px.
        end: of both axes.
    """
    chosen = np.unique(np.linspace(0, len(x) - 1, min(_POINTS, len(x))).round().astype(int))
    return [(round(x[place] / end * side, 1), round((1 - y[place] / end) * side, 1)) for place in chosen]
