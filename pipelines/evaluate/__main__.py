"""The stage: writes the figures of a bundle, what they come from, and the page; prints a line a finding."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from models.bundle import Bundle, load_bundle
from models.errors import BundleError, LabelsError
from pipelines.evaluate.curves import confusion_table, reliability_table, roc_table
from pipelines.evaluate.decisions import conformal_figures, gate_figures
from pipelines.evaluate.figures import MEASURED, age_groups, counted_labels, split_figures
from pipelines.evaluate.probes import probe_figures
from pipelines.evaluate.report import write_report
from pipelines.evaluate.summary import summary
from pipelines.heat_maps import heat_map_figures
from pipelines.params import Evaluate, load_params
from pipelines.prediction import prediction_table
from pipelines.sanity import sanity_figures
from pipelines.stage import run_stage


def evaluate(
    settings: Evaluate, bundle: Bundle, rows: pd.DataFrame, shards: Path
) -> tuple[dict[str, Any], pd.DataFrame]:
    """The figures of a bundle and the predictions they come from.

    Args:
        settings: the evaluate section of params.yaml.
        bundle: to measure.
        rows: of the split table of its task.
        shards: holds a folder a source.

    Returns:
        A tree fit for JSON: each measured split with its figures, and of the test split `probes`, `gates` and
        `conformal`. And the rows measured, with those labels that count, their age group and their predictions.

    Raises:
        LabelsError: the table is of another task, or holds nothing to measure.
    """
    manifest = bundle.manifest
    if missing := [finding for finding in manifest.findings if finding not in rows]:
        reason = f"expected a column a finding in the split table, but received none for {', '.join(missing)}."
        raise LabelsError(task=manifest.task, reason=reason)
    rows = counted_labels(manifest, rows)
    rows = rows[rows[list(manifest.findings)].notna().any(axis=1)]  # others say nothing of gates and answers either
    measured = rows[rows["split"].isin(MEASURED)].reset_index(drop=True)
    if measured.empty:
        raise LabelsError(task=manifest.task, reason=f"expected images in {', '.join(MEASURED)}, but received none.")
    predictions = prediction_table(bundle, measured, shards)
    predictions["age_group"] = age_groups(predictions["age_years"])
    found: dict[str, Any] = {
        split: split_figures(settings, manifest, predictions[predictions["split"] == split])
        for split in MEASURED
        if split in set(predictions["split"])
    }
    test = predictions[predictions["split"] == "test"]
    if len(test):
        found["probes"] = probe_figures(settings, manifest, rows[rows["split"] == "train"], test, shards)
        found["gates"] = gate_figures(settings, test)
        found["conformal"] = conformal_figures(settings, manifest, test)
    return found, predictions


def load_bundle_of(model: str, folder: Path) -> Bundle:
    """The bundle of a model.

    Raises:
        BundleError: it is of another model, or none at all.
    """
    bundle = load_bundle(folder)
    if bundle.manifest.name != model:
        raise BundleError(
            reason=f"{folder}: expected a bundle of the model {model}, but received one of {bundle.manifest.name}. "
            "Name the folder of its own bundle."
        )
    return bundle


def write(
    folder: Path, bundle: Bundle, figures: dict[str, Any], predictions: pd.DataFrame, examples: list[dict[str, str]]
) -> None:
    """Writes `metrics.json`, `predictions.parquet`, the curves of the test split as CSV and `report.html`."""
    test = predictions[predictions["split"] == "test"]
    curves = {
        "roc": roc_table(bundle.manifest, test),
        "confusion": confusion_table(bundle.manifest, test),
        "reliability": reliability_table(bundle.manifest, test),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    for name, curve in curves.items():
        curve.to_csv(folder / f"{name}.csv", index=False)
    write_report(folder / "report.html", bundle, figures, curves, examples)


def main(model: str, bundle_folder: str, table: str, shards: str, catalogs: str, raw: str, folder: str) -> None:
    """`python -m pipelines.evaluate MODEL BUNDLE TABLE SHARDS CATALOGS RAW FOLDER`."""
    settings = load_params().evaluate
    bundle, rows = load_bundle_of(model, Path(bundle_folder)), pd.read_parquet(table)
    figures, predictions = evaluate(settings, bundle, rows, Path(shards))
    heat_maps = heat_map_figures(bundle, rows, Path(shards), Path(raw), Path(catalogs), settings)
    examples = heat_maps.pop("examples", [])
    figures |= {"heat_maps": heat_maps, "sanity": sanity_figures(bundle, rows, Path(shards))}
    write(Path(folder), bundle, figures, predictions, examples)
    sys.stdout.write(summary(bundle.manifest, figures))


if __name__ == "__main__":
    run_stage(main)
