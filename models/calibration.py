"""From logits to probabilities: temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from models.findings import Task, TaskKind

Array = NDArray[np.floating]
_LOG_TEMPERATURE_BOUNDS = (-3.0, 3.0)


class Calibration(BaseModel):
    """Temperatures by which logits are divided before softmax or sigmoid.

    Attributes:
        kind: of the task.
        temperatures: one for a multiclass task, one a finding for a multilabel task; 1 leaves the scores as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TaskKind
    temperatures: tuple[float, ...]

    def probabilities(self, logits: Array) -> Array:
        """(n, findings) float64 in [0, 1] from logits (n, findings)."""
        scaled = logits.astype(np.float64) / np.asarray(self.temperatures)
        calibrated: Array = softmax(scaled, axis=-1) if self.kind is TaskKind.MULTICLASS else expit(scaled)
        return calibrated


def uncalibrated(task: Task) -> Calibration:
    """Temperatures of 1: probabilities are the scores."""
    return Calibration(
        kind=task.kind, temperatures=(1.0,) * (1 if task.kind is TaskKind.MULTICLASS else len(task.findings))
    )


def fit_calibration(kind: TaskKind, labels: Array, logits: Array) -> Calibration:
    """The temperatures of least log-loss over the known labels.

    Args:
        kind: of the task.
        labels: (n, findings); 1 present, 0 absent, NaN not labelled.
        logits: (n, findings).

    Returns:
        Temperature 1 where a finding lacks a known positive or a known negative: there is nothing to fit.
    """
    if kind is TaskKind.MULTICLASS:
        known = ~np.isnan(labels).any(axis=1)
        return Calibration(kind=kind, temperatures=(_fit_softmax(labels[known], logits[known]),))
    fitted = []
    for finding in range(labels.shape[1]):
        known = ~np.isnan(labels[:, finding])
        fitted.append(_fit_sigmoid(labels[known, finding], logits[known, finding]))
    return Calibration(kind=kind, temperatures=tuple(fitted))


def _fit_softmax(labels: Array, logits: Array) -> float:
    if np.count_nonzero(labels.sum(axis=0)) < 2:
        return 1.0
    return _minimise(lambda t: -float(np.mean(np.sum(labels * log_softmax(logits / t, axis=1), axis=1))))


def _fit_sigmoid(labels: Array, logits: Array) -> float:
    if len(np.unique(labels)) < 2:
        return 1.0
    return _minimise(lambda t: float(np.mean(np.logaddexp(0.0, logits / t) - labels * logits / t)))


def _minimise(loss: Callable[[float], float]) -> float:
    found = minimize_scalar(lambda log_t: loss(np.exp(log_t)), bounds=_LOG_TEMPERATURE_BOUNDS, method="bounded")
    return float(np.exp(found.x))
