"""Measures a bundle on the images it was not trained on; the graph that is measured is the graph that serves."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from models.bundle import Bundle, load_bundle
from models.findings import Task, TaskKind
from models.scoring import Metric, confusion_matrix, estimate, finding_metrics, multiclass_metrics
from pipelines.params import Evaluate, load_params
from pipelines.prediction import columns_of, prediction_table
from pipelines.stage import run_stage

MEASURED = ("validation", "test", "external")
ROC_COLUMNS = ("finding", "false positive rate", "true positive rate")
AGE_GROUPS = {"0-5": (0, 6), "6-17": (6, 18), "18-64": (18, 65), "65+": (65, math.inf)}


def evaluate(settings: Evaluate, bundle: Bundle, table: Path, shards: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """The figures of a bundle and the predictions they come from.

    Args:
        settings: the evaluate section of params.yaml.
        bundle: to measure.
        table: the split table of its task.
        shards: holds a folder a source.

    Returns:
        A tree fit for JSON: split, then `overall` and `by_source`, `by_view_position`, `by_sex`, `by_age_group`, each
        with `images`, `patients`, `findings` and, for a multiclass task, figures of the whole; each figure is
        `{value, low, high}`, null where it is not defined. Patients who share an image count as one. And the rows
        measured, with their predictions.
    """
    rows = pd.read_parquet(table)
    predictions = prediction_table(bundle, rows[rows["split"].isin(MEASURED)].reset_index(drop=True), shards)
    predictions["age_group"] = _age_group(predictions["age_years"])
    figures: dict[str, Any] = {}
    for split, of_split in predictions.groupby("split"):
        figures[str(split)] = {"overall": _figures(settings, bundle, of_split)}
        for by in ("source", "view_position", "sex", "age_group"):
            groups = of_split.groupby(by, observed=True)
            figures[str(split)][f"by_{by}"] = {str(name): _figures(settings, bundle, of) for name, of in groups}
    return _without_nan(figures), predictions


def _age_group(ages: pd.Series) -> pd.Series:
    names = pd.Series(None, index=ages.index, dtype="object")
    for name, (low, high) in AGE_GROUPS.items():
        names[(ages >= low) & (ages < high)] = name
    return names


def _figures(settings: Evaluate, bundle: Bundle, rows: pd.DataFrame) -> dict[str, Any]:
    task = bundle.task
    report: dict[str, Any] = {"images": len(rows), "patients": rows["group"].nunique()}
    report["findings"] = {
        finding: {"positives": int((rows[finding] == 1).sum()), "negatives": int((rows[finding] == 0).sum())}
        | _estimates(settings, rows[rows[finding].notna()], _metrics_of(bundle, finding))
        for finding in task.findings
    }
    if task.kind is TaskKind.MULTICLASS:
        labels, scores, probabilities = _matrices(task, rows)
        report |= _estimates(settings, rows, lambda _: multiclass_metrics(labels, scores, probabilities))
        report["confusion_matrix"] = confusion_matrix(labels, scores).tolist()
    return report


def _metrics_of(bundle: Bundle, finding: str) -> Any:
    point = bundle.manifest.operating_points[bundle.task.findings.index(finding)]

    def metrics(rows: pd.DataFrame) -> dict[str, Metric]:
        labels, scores, probabilities = (
            rows[column].to_numpy(np.float64) for column in (finding, f"score {finding}", f"probability {finding}")
        )
        return finding_metrics(labels, scores, probabilities, point)

    return metrics


def _estimates(settings: Evaluate, rows: pd.DataFrame, metrics: Any) -> dict[str, Any]:
    groups = rows["group"].to_numpy(dtype=object)
    return {
        name: asdict(estimate(metric, groups, settings.replicates, settings.seed))
        for name, metric in metrics(rows).items()
    }


def _matrices(task: Task, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kinds = (list(task.findings), columns_of("score", task.findings), columns_of("probability", task.findings))
    labels, scores, probabilities = (rows[columns].to_numpy(np.float64) for columns in kinds)
    return labels, scores, probabilities


def _without_nan(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_nan(value) for key, value in tree.items()}
    return None if isinstance(tree, float) and math.isnan(tree) else tree


def roc_points(task: Task, predictions: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Points of each finding's ROC curve on the test split, for `dvc plots`."""
    test = predictions[predictions["split"] == "test"]
    for finding in task.findings:
        known = test[test[finding].notna()]
        if known[finding].nunique() == 2:
            false_positive, true_positive, _ = roc_curve(known[finding], known[f"score {finding}"])
            for x, y in zip(false_positive, true_positive, strict=True):
                yield dict(zip(ROC_COLUMNS, (finding, x, y), strict=True))


def main(bundle: str, table: str, shards: str, folder: str) -> None:
    """`python -m pipelines.evaluate BUNDLE TABLE SHARDS FOLDER`."""
    loaded = load_bundle(Path(bundle))
    figures, predictions = evaluate(load_params().evaluate, loaded, Path(table), Path(shards))
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    curves = pd.DataFrame(roc_points(loaded.task, predictions), columns=ROC_COLUMNS)
    curves.to_csv(out / "roc.csv", index=False)
    _called(loaded.task, predictions).to_csv(out / "confusion.csv", index=False)
    predictions.to_parquet(out / "predictions.parquet", index=False)


def _called(task: Task, predictions: pd.DataFrame) -> pd.DataFrame:
    """Truth and highest score of each test image, for the confusion plot; empty for a multilabel task."""
    test = predictions[predictions["split"] == "test"]
    if task.kind is not TaskKind.MULTICLASS:
        test = test.iloc[:0]
    labels, scores, _ = _matrices(task, test)
    names = np.array(task.findings)
    return pd.DataFrame({"actual": names[labels.argmax(axis=1)], "predicted": names[scores.argmax(axis=1)]})


if __name__ == "__main__":
    run_stage(main)
