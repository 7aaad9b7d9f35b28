"""AUROC and its family over known labels, each with an interval from resampling patients.

Every metric here takes weights, one row a bootstrap replicate, and works on all rows at once: a replicate is the
sample with each image counted as often as its patient was drawn. Rows of ones give the plain figure.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.floating]
Metric = Callable[[Array], Array]
"""Weights (replicates, images) -> figures (replicates,), NaN where a replicate has no figure."""

ECE_BINS = 10
ECE_IMAGES_A_BIN = 10  # at least, and so fewer bins under a hundred images: the error of an ECE grows with their number
_BLOCK_CELLS = 4_000_000  # replicates x images of weights at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def estimate(metric: Metric, patients: NDArray[np.object_], replicates: int, seed: int) -> Estimate:
    """A metric with the percentile interval of the bootstrap by patient (Efron and Tibshirani 1993).

    Args:
        metric: weights (replicates, images) -> (replicates,).
        patients: (images,) whose image it is; a patient is drawn with all images.
        replicates: bootstrap samples.
        seed: of the resampling.
    """
    value = float(metric(np.ones((1, len(patients))))[0]) if len(patients) else float("nan")
    if np.isnan(value):
        return Estimate(value, float("nan"), float("nan"))
    figures = np.concatenate([metric(weights) for weights in _resampled(patients, replicates, seed)])
    low, high = np.nanpercentile(figures, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _resampled(patients: NDArray[np.object_], replicates: int, seed: int) -> Iterator[Array]:
    distinct, patient_of = np.unique(patients.astype(str), return_inverse=True)
    generator = np.random.default_rng(seed)
    block = max(1, min(replicates, _BLOCK_CELLS // len(patients)))
    for start in range(0, replicates, block):
        rows = min(block, replicates - start)
        draws = generator.multinomial(len(distinct), np.full(len(distinct), 1 / len(distinct)), size=rows)
        yield draws[:, patient_of].astype(np.float64)


def finding_metrics(labels: Array, scores: Array, probabilities: Array, operating_point: float) -> dict[str, Metric]:
    """The metrics of one finding.

    Args:
        labels: (images,); 1 present, 0 absent, all known.
        scores: (images,) in [0, 1], what the operating point cuts.
        probabilities: (images,) in [0, 1], calibrated.
        operating_point: present from this score upwards.
    """
    called = (scores >= operating_point).astype(np.float64)
    return {
        "auroc": partial(auroc, labels, scores),
        "auprc": partial(auprc, labels, scores),
        "sensitivity": partial(_share, labels, called),
        "specificity": partial(_share, 1.0 - labels, 1.0 - called),
        "brier": partial(_share, np.ones_like(labels), (probabilities - labels) ** 2),
        "ece": partial(ece, labels, probabilities),
    }


def multiclass_metrics(labels: Array, scores: Array, probabilities: Array) -> dict[str, Metric]:
    """The metrics of a multiclass task as a whole; arguments (images, findings), labels one-hot and known."""
    truth = labels.argmax(axis=1)
    hit = (scores.argmax(axis=1) == truth).astype(np.float64)
    surprise = -np.log(np.clip(probabilities[np.arange(len(truth)), truth], 1e-12, 1.0))
    everything = np.ones(len(truth))
    return {
        "accuracy": partial(_share, everything, hit),
        "balanced_accuracy": lambda weights: _mean([_share(column, hit, weights) for column in labels.T]),
        "log_loss": partial(_share, everything, surprise),
        "macro_auroc": lambda weights: _mean(
            [auroc(column, score, weights) for column, score in zip(labels.T, scores.T, strict=True)]
        ),
    }


def auroc(labels: Array, scores: Array, weights: Array) -> Array:
    """Area under the ROC curve, ties counted half (the Mann-Whitney statistic).

    Args:
        labels: (images,); 1 present, 0 absent.
        scores: (images,).
        weights: (replicates, images), not negative.

    Returns:
        (replicates,) in [0, 1]; NaN where a replicate lacks positives or negatives.
    """
    positive, negative = _by_descending_score(labels, scores, weights)
    not_above = negative.sum(axis=1, keepdims=True) - np.cumsum(negative, axis=1)
    won = (positive * (not_above + negative / 2)).sum(axis=1)
    return _ratio(won, positive.sum(axis=1) * negative.sum(axis=1))


def auprc(labels: Array, scores: Array, weights: Array) -> Array:
    """Average precision: the precision at each distinct score, weighted by the recall gained there.

    Arguments and result as for `auroc`; NaN where a replicate lacks positives.
    """
    positive, negative = _by_descending_score(labels, scores, weights)
    hits = np.cumsum(positive, axis=1)
    precision = _ratio(hits, hits + np.cumsum(negative, axis=1), empty=0.0)
    return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1))


def ece(labels: Array, probabilities: Array, weights: Array) -> Array:
    """Expected calibration error: root mean square over ten bins of equally many images, less what chance adds.

    The gap of a bin, share present less mean probability, is seldom zero on few images, however good the calibration:
    its square overstates the true one by its sampling variance. Leaving each image's product with itself out of the
    square takes that off (the debiased estimator of Kumar, Liang and Ma 2019, Verified Uncertainty Calibration, after
    Ferro and Fricker 2012), also where a bootstrap replicate repeats an image. A sum below zero counts as zero; chance
    makes it so about every other time where calibration is perfect. Images count as independent.

    Arguments as for `auroc`, probabilities in [0, 1].

    Returns:
        (replicates,) in [0, 1]; NaN where no bin of a replicate has two images.
    """
    bins = max(1, min(ECE_BINS, len(labels) // ECE_IMAGES_A_BIN))
    in_bin = _equal_mass_bins(probabilities, bins)[:, np.newaxis] == np.arange(bins)
    gap = (labels - probabilities)[:, np.newaxis] * in_bin
    images, pairs = weights @ in_bin, (weights @ in_bin) ** 2 - weights**2 @ in_bin
    squares = _ratio((weights @ gap) ** 2 - weights**2 @ gap**2, pairs, empty=0.0)
    return np.sqrt(np.maximum(_ratio((images * squares).sum(axis=1), (images * (pairs > 0)).sum(axis=1)), 0.0))


def reliability(labels: Array, probabilities: Array, bins: int = 10) -> list[tuple[float, float, int]]:
    """Points of the reliability diagram, over bins of about equally many images; equal probabilities share a bin.

    Args:
        labels: (images,); 1 present, 0 absent, all known.
        probabilities: (images,) in [0, 1].
        bins: at most.

    Returns:
        Mean probability, share present and number of images of each bin that has any, lowest first.
    """
    of_image = _equal_mass_bins(probabilities, bins)
    members = [of_image == at for at in np.unique(of_image)]
    return [(float(probabilities[of].mean()), float(labels[of].mean()), int(of.sum())) for of in members]


def _equal_mass_bins(values: Array, bins: int) -> NDArray[np.int64]:
    """(images,) in [0, bins): the bin of the middle of its rank, which equal values share."""
    return ((rankdata(values) - 0.5) * bins / len(values)).astype(np.int64)


def operating_point(labels: Array, scores: Array, target_sensitivity: float) -> float:
    """The highest score at which at least the target share of the known positives is called present.

    Args:
        labels: (images,); 1 present, 0 absent, NaN not labelled.
        scores: (images,) in [0, 1].
        target_sensitivity: in (0, 1].

    Returns:
        0.5 where no positive is known.
    """
    positive = np.sort(scores[labels == 1])[::-1]
    if not len(positive):
        return 0.5
    shares = np.arange(1, len(positive) + 1) / len(positive)
    return float(positive[np.searchsorted(shares, target_sensitivity)])


def confusion_matrix(labels: Array, scores: Array) -> NDArray[np.int64]:
    """(findings, findings) counts: row the truth, column the highest score; arguments as for `multiclass_metrics`."""
    findings = labels.shape[1]
    cells = labels.argmax(axis=1) * findings + scores.argmax(axis=1)
    return np.bincount(cells, minlength=findings * findings).reshape(findings, findings)


def _by_descending_score(labels: Array, scores: Array, weights: Array) -> tuple[Array, Array]:
    """Weights of positives and of negatives, each (replicates, distinct scores), highest score first."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    ordered, truth = weights[:, order], labels[order]
    return np.add.reduceat(ordered * truth, starts, axis=1), np.add.reduceat(ordered * (1 - truth), starts, axis=1)


def _share(of: Array, what: Array, weights: Array) -> Array:
    """Weighted mean of `what` (images,) over the images counted by `of` (images,)."""
    return _ratio(weights @ (of * what), weights @ of)


def _ratio(above: Array, below: Array, empty: float = float("nan")) -> Array:
    return np.divide(above, below, out=np.full_like(above, empty), where=below > 0)


def _mean(rows: list[Array]) -> Array:
    mean: Array = np.mean(np.stack(rows), axis=0)
    return mean
