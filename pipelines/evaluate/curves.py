"""Curves of the test split, for `dvc plots` and the page."""

import numpy as np
import pandas as pd

from models.bundle import Manifest
from models.findings import TaskKind
from models.scoring import reliability
from pipelines.evaluate.figures import matrices

ROC_COLUMNS = ("finding", "false positive rate", "true positive rate")
CONFUSION_COLUMNS = ("actual", "predicted")
RELIABILITY_COLUMNS = ("finding", "mean probability", "share present", "images")


def roc_table(manifest: Manifest, test: pd.DataFrame) -> pd.DataFrame:
    """Points of each finding's ROC curve; none of a finding that is known to be present, or absent, everywhere."""
    from sklearn.metrics import roc_curve

    rows = []
    for finding in manifest.findings:
        known = test[test[finding].notna()]
        if known[finding].nunique() == 2:
            false_positive, true_positive, _ = roc_curve(known[finding], known[f"score {finding}"])
            rows += [(finding, x, y) for x, y in zip(false_positive, true_positive, strict=True)]
    return pd.DataFrame(rows, columns=list(ROC_COLUMNS))


def confusion_table(manifest: Manifest, test: pd.DataFrame) -> pd.DataFrame:
    """Truth and highest score of each image a multiclass head is measured on; empty without such a head."""
    rows: list[tuple[str, str]] = []
    for head in manifest.heads:
        if head.kind is TaskKind.MULTICLASS:
            labels, scores, _ = matrices(head, test[test[list(head.findings)].notna().all(axis=1)])
            names = np.array(head.findings)
            rows += zip(names[labels.argmax(axis=1)], names[scores.argmax(axis=1)], strict=True)
    return pd.DataFrame(rows, columns=list(CONFUSION_COLUMNS))


def reliability_table(manifest: Manifest, test: pd.DataFrame) -> pd.DataFrame:
    """Points of each finding's reliability diagram; none of a finding that is nowhere known."""
    rows = []
    for finding in manifest.findings:
        known = test[test[finding].notna()]
        if len(known):
            labels, probabilities = (known[column].to_numpy(float) for column in (finding, f"probability {finding}"))
            rows += [(finding, *point) for point in reliability(labels, probabilities)]
    return pd.DataFrame(rows, columns=list(RELIABILITY_COLUMNS))
