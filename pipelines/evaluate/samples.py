"""Bootstrap samples of patients, and the interval that they give a figure (Efron and Tibshirani 1993).

All figures of a set of images come from the same samples, so a mean of figures has an interval of its own.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.scoring import Array, Metric
from pipelines.params import Evaluate

Estimate = dict[str, float | None]
"""`value` and its 95 % interval from `low` to `high`; None where not defined."""

UNDEFINED: Array = np.full(1, np.nan)
"""A figure that is not defined, and no samples of it."""
MIN_PATIENTS = 10
"""With fewer, a figure has no interval."""
_BLOCK_CELLS = 4_000_000  # samples x images of weights at a time: 32 MB


class Samples:
    """Samples of as many patients as there are, drawn with repetition; a patient is drawn with all images.

    Args:
        patients: (images,) whose image it is.
        settings: how many samples, and by which seed.
    """

    def __init__(self, patients: pd.Series, settings: Evaluate) -> None:
        distinct, self._patient_of = np.unique(patients.to_numpy(dtype=str), return_inverse=True)
        generator = np.random.default_rng(settings.seed)
        chances = np.full(len(distinct), 1 / max(1, len(distinct)))
        draws = generator.multinomial(len(distinct), chances, size=settings.replicates)
        self._draws = draws.astype(np.uint16)

    def figures(self, metrics: Mapping[str, Metric], counted: NDArray[np.bool_]) -> dict[str, Array]:
        """Each metric of the counted images, and of what each sample holds of them.

        Args:
            metrics: from weights (samples, counted images).
            counted: (images,).

        Returns:
            (1 + samples,) each, NaN where not defined; only NaN after the first where fewer than 10 patients count.
        """
        figures = {name: np.full(1 + len(self._draws), np.nan) for name in metrics}
        if counted.any():
            for place, weights in self._weights(counted):
                for name, metric in metrics.items():
                    figures[name][place] = metric(weights)
        return figures

    def _weights(self, counted: NDArray[np.bool_]) -> Iterator[tuple[slice, Array]]:
        patients = self._patient_of[counted]
        yield slice(0, 1), np.ones((1, len(patients)))
        if len(np.unique(patients)) < MIN_PATIENTS:
            return
        rows = max(1, _BLOCK_CELLS // len(patients))
        for start in range(0, len(self._draws), rows):
            weights = self._draws[start : start + rows, patients].astype(np.float64)
            yield slice(1 + start, 1 + start + len(weights)), weights


def estimate(figures: Array) -> Estimate:
    """The figure with its percentile interval.

    Args:
        figures: (1 + samples,) as `Samples.figures` gives them.
    """
    value, of_samples = float(figures[0]), figures[1:][~np.isnan(figures[1:])]
    if np.isnan(value):
        return {"value": None, "low": None, "high": None}
    if not len(of_samples):
        return {"value": value, "low": None, "high": None}
    low, high = np.percentile(of_samples, [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high)}
