"""From logits to probabilities: for each finding the simplest curve that holds on images it was not fitted on.

none         the scores as they are
temperature  logit / temperature + bias before softmax or sigmoid (Guo et al. 2017, On Calibration of Modern Neural
             Networks; for a sigmoid this is Platt 1999, Probabilistic Outputs for Support Vector Machines)
isotonic     a curve that never falls (Zadrozny and Elkan 2002, Transforming Classifier Scores into Accurate
             Multiclass Probability Estimates)
"""

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from models.findings import Head, TaskKind, columns_of_heads

Array = NDArray[np.floating]
FOLDS = 5
FEWEST = 5  # images known to have a finding, and known not to, below which nothing is fitted
_SLOPES = (0.05, 20.0)  # of 1 / temperature: above zero, so that order is kept


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Temperature(_Frozen):
    """Probability is sigmoid(logit / temperature + bias); 1 and 0 leave the scores as they are."""

    temperature: FiniteFloat = Field(1.0, gt=0)
    bias: FiniteFloat = 0.0

    @property
    def method(self) -> str:
        """`none` or `temperature`."""
        return "none" if (self.temperature, self.bias) == (1.0, 0.0) else "temperature"

    def probability(self, logits: Array) -> Array:
        """(n,) in [0, 1] from logits (n,), for a finding by itself."""
        probability: Array = expit(self.log_weight(logits))
        return probability

    def log_weight(self, logits: Array) -> Array:
        """(n,) from logits (n,), what a softmax over the classes takes."""
        return logits / self.temperature + self.bias


class Isotonic(_Frozen):
    """Probability is linear between points, and constant outside them."""

    method: ClassVar[str] = "isotonic"

    logits: tuple[FiniteFloat, ...] = Field(min_length=1)
    probabilities: tuple[Annotated[float, Field(gt=0, lt=1)], ...]

    @model_validator(mode="after")
    def _never_falls(self) -> Self:
        falls = (np.diff(self.logits) <= 0).any() or (np.diff(self.probabilities) < 0).any()
        if falls or len(self.logits) != len(self.probabilities):
            raise ValueError("expected rising logits, each with a probability, and none lower than the one before")
        return self

    def probability(self, logits: Array) -> Array:
        """As of `Temperature`."""
        return np.interp(logits, self.logits, self.probabilities)

    def log_weight(self, logits: Array) -> Array:
        """As of `Temperature`."""
        log_weight: Array = np.log(self.probability(logits))
        return log_weight


Curve = Temperature | Isotonic
_Fit = Callable[[TaskKind, Array, Array], tuple[Curve, ...]]
_Splits = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


class HeadCalibration(_Frozen):
    """The curves of one head.

    Attributes:
        kind: of the head. For a softmax, log-softmax stands for the logits: it knows the other classes.
        curves: one a finding, in order.
    """

    kind: TaskKind
    curves: tuple[Curve, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_of_one_method(self) -> Self:
        if self.kind is TaskKind.MULTICLASS and len({type(curve) for curve in self.curves}) > 1:
            raise ValueError("expected one method for all classes of a multiclass head, but received two")
        return self

    def probabilities(self, logits: Array) -> Array:
        """(n, findings) float64 in [0, 1] from logits (n, findings); rows of a multiclass head sum to one."""
        columns = list(zip(self.curves, _inputs(self.kind, logits.astype(np.float64)).T, strict=True))
        if self.kind is TaskKind.MULTILABEL:
            return np.stack([curve.probability(x) for curve, x in columns], axis=1)
        probabilities: Array = softmax(np.stack([curve.log_weight(x) for curve, x in columns], axis=1), axis=1)
        return probabilities


class Calibration(_Frozen):
    """From the logits of a model to probabilities.

    Attributes:
        parts: one a head, in order.
    """

    parts: tuple[HeadCalibration, ...]

    def probabilities(self, logits: Array) -> Array:
        """(n, findings) float64 in [0, 1] from logits (n, findings); never falling as a multilabel logit rises."""
        ends = np.cumsum([len(part.curves) for part in self.parts])
        of_heads = np.split(logits, ends[:-1], axis=1)
        return np.hstack([part.probabilities(of_head) for part, of_head in zip(self.parts, of_heads, strict=True)])

    def check_fits(self, heads: Sequence[Head]) -> None:
        """Compares the heads it was made for with those it is to serve.

        Raises:
            ValueError: they differ in number, kind or number of findings.
        """
        expected = [f"{head.kind} of {len(head.findings)}" for head in heads]
        received = [f"{part.kind} of {len(part.curves)}" for part in self.parts]
        if received != expected:
            raise ValueError(
                f"expected a calibration of the heads {', '.join(expected)}, but received one of "
                f"{', '.join(received)}; fit it for these heads"
            )


def uncalibrated(heads: Sequence[Head]) -> Calibration:
    """Probabilities are the scores."""
    parts = (HeadCalibration(kind=head.kind, curves=(Temperature(),) * len(head.findings)) for head in heads)
    return Calibration(parts=tuple(parts))


def fit_calibration(
    heads: Sequence[Head], labels: Array, logits: Array, groups: NDArray[np.object_], seed: int
) -> Calibration:
    """For each finding, or multiclass head, the simplest method that holds on images it was not fitted on.

    Methods are compared by the log-loss of each image under curves fitted without its group, in five folds. Temperature
    replaces none if its mean is lower; isotonic, which fits many more numbers, replaces the better of them only if its
    mean is lower by more than one standard error of the paired difference. What is chosen is fitted again on all.

    Args:
        heads: of the model.
        labels: (n, findings); 1 present, 0 absent, NaN not labelled.
        logits: (n, findings).
        groups: (n,) names; images of a group, such as a patient's, are on the same side of a fold.
        seed: of the folds.

    Returns:
        Method none where fewer than five images are known with a finding or without it, or all are of one group.
    """
    parts = []
    for head, columns in columns_of_heads(heads):
        together = head.kind is TaskKind.MULTICLASS
        questions = [columns] if together else [slice(at, at + 1) for at in range(columns.start, columns.stop)]
        curves = [_fit_best(head.kind, labels[:, of], logits[:, of], groups, seed) for of in questions]
        parts.append(HeadCalibration(kind=head.kind, curves=sum(curves, ())))
    return Calibration(parts=tuple(parts))


def _fit_best(
    kind: TaskKind, labels: Array, logits: Array, groups: NDArray[np.object_], seed: int
) -> tuple[Curve, ...]:
    from sklearn.model_selection import GroupKFold

    known = ~np.isnan(labels).any(axis=1)
    labels, logits, groups = labels[known], logits[known].astype(np.float64), groups[known]
    outcomes = labels if kind is TaskKind.MULTICLASS else np.hstack([1 - labels, labels])
    folds = min(FOLDS, len(np.unique(groups)))
    if _too_few(outcomes) or folds < 2:
        return _fit_none(kind, outcomes, logits)
    splits = list(GroupKFold(folds, shuffle=True, random_state=seed).split(logits, groups=groups))
    fits = (_fit_none, _fit_temperature, _fit_isotonic)
    none, temperature, isotonic = (_held_out_losses(fit, kind, outcomes, logits, splits) for fit in fits)
    best, losses = (_fit_temperature, temperature) if temperature.mean() < none.mean() else (_fit_none, none)
    gain = losses - isotonic
    if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
        best = _fit_isotonic
    return best(kind, outcomes, logits)


def _held_out_losses(fit: _Fit, kind: TaskKind, outcomes: Array, logits: Array, splits: _Splits) -> Array:
    losses = np.empty(len(outcomes))
    for rest, fold in splits:
        curves = (_fit_none if _too_few(outcomes[rest]) else fit)(kind, outcomes[rest], logits[rest])
        found = HeadCalibration(kind=kind, curves=curves).probabilities(logits[fold])
        of_outcomes = found if kind is TaskKind.MULTICLASS else np.hstack([1 - found, found])
        losses[fold] = -np.log(np.clip((outcomes[fold] * of_outcomes).sum(axis=1), 1e-12, 1.0))
    return losses


def _too_few(outcomes: Array) -> bool:
    return bool(outcomes.sum(axis=0).min() < FEWEST)


def _inputs(kind: TaskKind, logits: Array) -> Array:
    inputs: Array = log_softmax(logits, axis=1) if kind is TaskKind.MULTICLASS else logits
    return inputs


def _softened(outcomes: Array) -> Array:
    """Outcomes (n, classes) as Platt (1999) softens them: no curve is surer than the number of images allows."""
    images = outcomes.sum(axis=0)
    softened: Array = (outcomes * images + 1) / (outcomes @ images + len(images))[:, np.newaxis]
    return softened


def _fit_none(kind: TaskKind, outcomes: Array, logits: Array) -> tuple[Curve, ...]:
    return tuple(Temperature() for _ in logits.T)


def _fit_temperature(kind: TaskKind, outcomes: Array, logits: Array) -> tuple[Curve, ...]:
    targets = _softened(outcomes)
    # a sigmoid is a softmax beside a logit of 0
    inputs = logits if kind is TaskKind.MULTICLASS else np.hstack([np.zeros_like(logits), logits])

    def loss(parameters: Array) -> tuple[float, Array]:
        log_probabilities = log_softmax(parameters[0] * inputs + parameters[1:], axis=1)
        error = np.exp(log_probabilities) - targets
        gradient = np.r_[(error * inputs).sum(), error.sum(axis=0)]
        return -float((targets * log_probabilities).sum()) / len(targets), gradient / len(targets)

    start = np.r_[1.0, np.zeros(inputs.shape[1])]
    bounds = [_SLOPES] + [(None, None)] * inputs.shape[1]
    slope, *biases = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x.tolist()
    if kind is TaskKind.MULTILABEL:
        biases = [biases[1] - biases[0]]
    return tuple(Temperature(temperature=1 / slope, bias=bias) for bias in biases)


def _fit_isotonic(kind: TaskKind, outcomes: Array, logits: Array) -> tuple[Curve, ...]:
    from sklearn.isotonic import IsotonicRegression

    targets = _softened(outcomes)[:, -logits.shape[1] :]  # of a multilabel finding, the outcome "present" alone
    columns = zip(_inputs(kind, logits).T, targets.T, strict=True)
    fitted = [IsotonicRegression().fit(of_finding, target) for of_finding, target in columns]
    return tuple(
        Isotonic(logits=curve.X_thresholds_.tolist(), probabilities=curve.y_thresholds_.tolist()) for curve in fitted
    )
