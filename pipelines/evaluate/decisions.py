"""What a bundle decides beside its scores: how many radiographs its gates let pass, how its conformal answers hold."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.bundle import Manifest
from models.findings import Head, TaskKind, columns_of_heads
from models.gates import CHEST_RADIOGRAPH_FROM, IN_DISTRIBUTION_FROM
from models.scoring import Array
from pipelines.evaluate.figures import matrices
from pipelines.evaluate.samples import Estimate, Samples, estimate
from pipelines.params import Evaluate
from pipelines.prediction import columns_of

OPEN_FROM = {"chest_radiograph": CHEST_RADIOGRAPH_FROM, "in_distribution": IN_DISTRIBUTION_FROM}


def gate_figures(settings: Evaluate, test: pd.DataFrame) -> dict[str, Estimate]:
    """For each gate the share of the images for which it is open; all of them are chest radiographs."""
    samples, everything = Samples(test["group"], settings), np.ones(len(test), np.bool_)
    opened = {name: (test[f"gate {name}"] >= least).to_numpy() for name, least in OPEN_FROM.items()}
    return {name: _share(samples, is_open, everything) for name, is_open in opened.items()}


def conformal_figures(settings: Evaluate, manifest: Manifest, test: pd.DataFrame) -> dict[str, Any]:
    """What the answers "present", "absent" and "uncertain" are worth.

    Args:
        settings: of the bootstrap.
        manifest: of the model.
        test: rows of the test images, with the labels that count and predictions.

    Returns:
        The stated `risk`. Under `findings`, for each the share `missed` of the images with the finding that is called
        absent, and the share `uncertain` of those whose label is known. Under `heads`, for each multiclass head the
        share `missed` whose true class is not among the possible ones, the share `abstained` for which several or none
        are possible, and the `accuracy` of the others. Each share is `{value, low, high}`, None where not defined.
    """
    samples = Samples(test["group"], settings)
    found: dict[str, Any] = {"risk": manifest.conformal.risk, "findings": {}, "heads": {}}
    for finding in manifest.findings:
        labels = test[finding].to_numpy(np.float64)
        present, uncertain = (test[f"{kind} {finding}"].to_numpy(np.bool_) for kind in ("present", "uncertain"))
        found["findings"][finding] = {
            "missed": _share(samples, ~present & ~uncertain, labels == 1),
            "uncertain": _share(samples, uncertain, ~np.isnan(labels)),
        }
    for head, columns in columns_of_heads(manifest.heads):
        if head.kind is TaskKind.MULTICLASS:
            absent_below = np.asarray(manifest.conformal.absent_below[columns])
            found["heads"][head.name] = _of_classes(samples, head, absent_below, test)
    return found


def _of_classes(samples: Samples, head: Head, absent_below: Array, test: pd.DataFrame) -> dict[str, Estimate]:
    labels, scores, _ = matrices(head, test)
    abstained = test[columns_of("uncertain", head.findings)].any(axis=1).to_numpy(np.bool_)
    known: NDArray[np.bool_] = ~np.isnan(labels.sum(axis=1))
    truth = np.nan_to_num(labels).argmax(axis=1)
    missed = (scores < absent_below)[np.arange(len(truth)), truth]
    return {
        "missed": _share(samples, missed, known),
        "abstained": _share(samples, abstained, known),
        "accuracy": _share(samples, scores.argmax(axis=1) == truth, known & ~abstained),
    }


def _share(samples: Samples, holds: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Estimate:
    metric = partial(_mean, holds[counted].astype(np.float64))
    return estimate(samples.figures({"share": metric}, counted)["share"])


def _mean(values: Array, weights: Array) -> Array:
    total = weights.sum(axis=1)
    mean: Array = np.divide(weights @ values, total, out=np.full_like(total, np.nan), where=total > 0)
    return mean
