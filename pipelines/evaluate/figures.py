"""AUROC and its family of each finding, and of multiclass heads as a whole, for all images of a split and by group."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.bundle import Manifest
from models.findings import Head, TaskKind
from models.scoring import Array, confusion_matrix, finding_metrics, multiclass_metrics
from pipelines.evaluate.samples import UNDEFINED, Samples, estimate
from pipelines.labels import labels_of
from pipelines.params import Evaluate, HeadSettings
from pipelines.prediction import columns_of

MEASURED = ("validation", "test", "external")
GROUPS = ("source", "view_position", "sex", "age_group")
AGE_GROUPS = {"0-5": (0, 6), "6-17": (6, 18), "18-64": (18, 65), "65+": (65, math.inf)}
MIN_POSITIVES = 30
"""Known positives from which on a finding belongs to the mean."""
NORMAL = "Normal"


def counted_labels(manifest: Manifest, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with those labels that count, the others unknown.

    A source that does not train a head does not count for the head's findings either, or negatives of another source
    would make them easier than they are. External sources train nothing and always count.
    """
    settings = [HeadSettings.model_validate(head) for head in manifest.training.parameters.get("heads", [])]
    inside = (rows["split"] != "external").to_numpy()
    labels = rows[list(manifest.findings)].to_numpy(np.float64, copy=True)
    labels[inside] = labels_of(manifest.heads, settings, rows[inside])
    return rows.assign(**dict(zip(manifest.findings, labels.T, strict=True)))


def age_groups(ages: pd.Series) -> pd.Series:
    """The key of `AGE_GROUPS` of each age in years; None where it is unknown."""
    names = pd.Series(None, index=ages.index, dtype="object")
    for name, (low, high) in AGE_GROUPS.items():
        names[(ages >= low) & (ages < high)] = name
    return names


def split_figures(settings: Evaluate, manifest: Manifest, rows: pd.DataFrame) -> dict[str, Any]:
    """`overall` and `by_source`, `by_view_position`, `by_sex`, `by_age_group`, each as `figures` gives it."""
    found: dict[str, Any] = {"overall": figures(settings, manifest, rows)}
    for by in GROUPS:
        groups = rows.groupby(by, observed=True)
        found[f"by_{by}"] = {str(name): figures(settings, manifest, of_group) for name, of_group in groups}
    return found


def figures(settings: Evaluate, manifest: Manifest, rows: pd.DataFrame) -> dict[str, Any]:
    """The figures of some images; each is `{value, low, high}`, None where it is not defined.

    Args:
        settings: of the bootstrap.
        manifest: of the model.
        rows: labels that count and predictions; `group` tells patients apart, those who share an image count as one.

    Returns:
        `images`, `patients`, `findings`, `mean_auroc` over those with at least 30 known positives, or over all where
        there is none, and of a multiclass head its figures as a whole, `normal_auroc` (normal against the rest) if any.
    """
    samples = Samples(rows["group"], settings)
    report: dict[str, Any] = {"images": len(rows), "patients": rows["group"].nunique(), "findings": {}}
    areas: list[Array] = []
    often: list[Array] = []
    for finding, point in zip(manifest.findings, manifest.operating_points, strict=True):
        labels, scores, probabilities = (
            rows[column].to_numpy(np.float64) for column in (finding, f"score {finding}", f"probability {finding}")
        )
        known = ~np.isnan(labels)
        found = samples.figures(finding_metrics(labels[known], scores[known], probabilities[known], point), known)
        positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
        report["findings"][finding] = {"positives": positives, "negatives": negatives} | _estimates(found)
        if positives and negatives:
            areas.append(found["auroc"])
            often += [found["auroc"]] if positives >= MIN_POSITIVES else []
    report["mean_auroc"] = estimate(np.mean(often or areas or [UNDEFINED], axis=0))
    for head in manifest.heads:
        if head.kind is TaskKind.MULTICLASS:
            report |= _whole(samples, head, rows)
            if NORMAL in head.findings:
                report["normal_auroc"] = report["findings"][NORMAL]["auroc"]
    return report


def _whole(samples: Samples, head: Head, rows: pd.DataFrame) -> dict[str, Any]:
    labels, scores, probabilities = matrices(head, rows)
    known: NDArray[np.bool_] = ~np.isnan(labels.sum(axis=1))
    metrics = multiclass_metrics(labels[known], scores[known], probabilities[known])
    found = _estimates(samples.figures(metrics, known))
    return found | {"confusion_matrix": confusion_matrix(labels[known], scores[known]).tolist()}


def matrices(head: Head, rows: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Labels, scores and probabilities of a head, (images, findings) each."""
    kinds = (list(head.findings), columns_of("score", head.findings), columns_of("probability", head.findings))
    labels, scores, probabilities = (rows[columns].to_numpy(np.float64) for columns in kinds)
    return labels, scores, probabilities


def _estimates(found: dict[str, Array]) -> dict[str, Any]:
    return {name: estimate(of_samples) for name, of_samples in found.items()}
