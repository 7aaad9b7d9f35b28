"""Two bundles on the same test images, finding by finding: is the candidate better than what is in production?"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from models.bundle import Bundle, load_bundle
from models.comparison import compare_auroc
from models.errors import LabelsError
from models.scoring import auroc
from pipelines.evaluate.figures import counted_labels
from pipelines.prediction import prediction_table
from pipelines.stage import run_stage


def compare(a: Bundle, b: Bundle, rows: pd.DataFrame, shards: Path) -> pd.DataFrame:
    """The paired comparison of two bundles by DeLong's test, on images of the test split.

    The split table keeps its test images from every model that was trained by it. A bundle that was trained by another
    table, with another key, other shares or other sources, may have been trained on some of them, or on other images of
    the same patients, and then looks better than it is: no bundle lists its training images, so that this cannot be
    known here. It is known to be fair only where both manifests name the same `training.data`. Nor does the test know
    of patients: images count as independent, and where a patient has many, intervals are too narrow. Nothing is
    corrected for the number of findings.

    Args:
        a: the candidate.
        b: what it is compared with.
        rows: of the split table; only those of the split `test` are looked at.
        shards: holds a folder of decoded images a source.

    Returns:
        A row for each finding that both answer, in a's order: `finding`, `images` and `positives` (those whose label is
        known and counts for both), `auroc_a`, `auroc_b`, `difference` (a less b), `low` and `high` of its 95 % interval
        and `p_value`; figures are NaN where fewer than two positives or two negatives are known.

    Raises:
        LabelsError: they have no finding in common, or there is no test image.
    """
    common = [finding for finding in a.manifest.findings if finding in b.manifest.findings]
    if not common:
        found = " and of ".join(", ".join(bundle.manifest.findings) for bundle in (a, b))
        raise LabelsError(task=a.manifest.task, reason=f"expected findings in common, but received bundles of {found}.")
    test = rows[rows["split"] == "test"].reset_index(drop=True)
    if test.empty:
        raise LabelsError(task=a.manifest.task, reason="expected images in the split test, but received none.")
    labels = counted_labels(a.manifest, counted_labels(b.manifest, test))
    of_a, of_b = (prediction_table(bundle, test, shards) for bundle in (a, b))
    return pd.DataFrame([_compared(finding, labels, of_a, of_b) for finding in common])


def _compared(finding: str, labels: pd.DataFrame, of_a: pd.DataFrame, of_b: pd.DataFrame) -> dict[str, object]:
    known = labels[finding].notna()
    truth = labels.loc[known, finding].to_numpy(np.float64)
    scores_a, scores_b = (of.loc[known, f"score {finding}"].to_numpy(np.float64) for of in (of_a, of_b))
    everything = np.ones((1, len(truth)))
    return {
        "finding": finding,
        "images": len(truth),
        "positives": int(truth.sum()),
        "auroc_a": float(auroc(truth, scores_a, everything)[0]) if len(truth) else float("nan"),
        "auroc_b": float(auroc(truth, scores_b, everything)[0]) if len(truth) else float("nan"),
        **compare_auroc(truth, scores_a, scores_b)._asdict(),
    }


def main(a: str, b: str, table: str, shards: str) -> None:
    """`python -m pipelines.comparing BUNDLE_A BUNDLE_B TABLE SHARDS`."""
    compared = compare(load_bundle(Path(a)), load_bundle(Path(b)), pd.read_parquet(table), Path(shards))
    sys.stdout.write(compared.to_string(index=False, float_format="{:.3f}".format) + "\n")


if __name__ == "__main__":
    run_stage(main)
