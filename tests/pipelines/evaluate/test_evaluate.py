"""The stage on a small real bundle, against scikit-learn's figures for the same predictions."""

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from models.errors import BundleError, LabelsError
from pipelines.evaluate.__main__ import evaluate, main
from tests.pipelines.bundles import stub_bundle, thoracic
from tests.pipelines.conftest import write_params

FINDINGS = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
GROUPS = ("by_source", "by_view_position", "by_sex", "by_age_group")
WHOLE = ("accuracy", "balanced_accuracy", "log_loss", "macro_auroc", "normal_auroc", "mean_auroc")
OF_A_FINDING = ("auroc", "auprc", "sensitivity", "specificity", "brier", "ece")


def written(project, bundle_folder, table, cohort):
    """The folder that the stage writes, and what it prints."""
    write_params(project)
    words = (bundle_folder, table, cohort / "shards", cohort / "catalog", cohort / "raw", "evaluation")
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(io.StringIO()) as printed:
        monkeypatch.chdir(project)
        main("pneumonia", *[str(word) for word in words])
    return project / "evaluation", printed.getvalue()


@pytest.fixture(scope="module")
def rows(cohort):
    return pd.read_parquet(cohort / "splits/pneumonia.parquet")


@pytest.fixture(scope="module")
def stage(tmp_path_factory, cohort, bundle_folder):
    project = tmp_path_factory.mktemp("evaluation")
    return written(project, bundle_folder, cohort / "splits/pneumonia.parquet", cohort)


@pytest.fixture(scope="module")
def figures(stage):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((stage[0] / "metrics.json").read_text(), parse_constant=refuse)


@pytest.fixture(scope="module")
def predictions(stage):
    return pd.read_parquet(stage[0] / "predictions.parquet")


def estimates(report):
    """Every figure of a report, with its name."""
    yield from ((name, report[name]) for name in WHOLE)
    for finding in FINDINGS:
        yield from ((f"{finding} {name}", report["findings"][finding][name]) for name in OF_A_FINDING)


def test_validation_and_test_are_measured(figures, rows):
    for split in ("validation", "test"):
        of_split = rows[rows["split"] == split]
        assert figures[split]["overall"]["images"] == len(of_split) > 0
        assert figures[split]["overall"]["patients"] == of_split["group"].nunique()
        assert set(figures[split]) == {"overall", *GROUPS}
    assert set(figures) - {"validation", "test"} == {"probes", "gates", "conformal", "heat_maps", "sanity"}


def test_every_figure_is_an_estimate_or_null(figures):
    for split in ("validation", "test"):
        for report in (figures[split]["overall"], *(of for by in GROUPS for of in figures[split][by].values())):
            for name, figure in estimates(report):
                assert set(figure) == {"value", "low", "high"}, name
                if figure["low"] is not None:
                    assert figure["low"] <= figure["high"], name
                    assert name == "log_loss" or 0 <= figure["low"] <= figure["high"] <= 1, name


@pytest.mark.parametrize("finding", FINDINGS)
def test_figures_of_a_finding_equal_scikit_learns(figures, predictions, bundle, finding):
    test = predictions[predictions["split"] == "test"]
    labels, scores, probabilities = test[finding], test[f"score {finding}"], test[f"probability {finding}"]
    present = scores >= bundle.manifest.operating_points[FINDINGS.index(finding)]
    report = figures["test"]["overall"]["findings"][finding]
    assert report["positives"] == (labels == 1).sum()
    assert report["negatives"] == (labels == 0).sum()
    assert {name: report[name]["value"] for name in OF_A_FINDING if name != "ece"} == pytest.approx(
        {
            "auroc": sk.roc_auc_score(labels, scores),
            "auprc": sk.average_precision_score(labels, scores),
            "sensitivity": sk.recall_score(labels, present),
            "specificity": sk.recall_score(labels, present, pos_label=0),
            "brier": sk.brier_score_loss(labels, probabilities),
        }
    )


def test_figures_of_the_whole_equal_scikit_learns(figures, predictions):
    test = predictions[predictions["split"] == "test"]
    labels = test[list(FINDINGS)].to_numpy()
    scores = test[[f"score {finding}" for finding in FINDINGS]].to_numpy()
    probabilities = test[[f"probability {finding}" for finding in FINDINGS]].to_numpy()
    truth, called = labels.argmax(axis=1), scores.argmax(axis=1)
    report = figures["test"]["overall"]
    assert {name: report[name]["value"] for name in WHOLE[:4]} == pytest.approx(
        {
            "accuracy": sk.accuracy_score(truth, called),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, called),
            "log_loss": sk.log_loss(truth, probabilities),
            "macro_auroc": sk.roc_auc_score(labels, scores, average="macro"),
        }
    )
    assert report["confusion_matrix"] == sk.confusion_matrix(truth, called, labels=[0, 1, 2]).tolist()


@pytest.mark.parametrize("column", ["source", "view_position", "sex", "age_group"])
def test_groups_are_measured_by_themselves(figures, predictions, column):
    test = predictions[predictions["split"] == "test"]
    found = figures["test"][f"by_{column}"]
    assert {name: report["images"] for name, report in found.items()} == test[column].value_counts().to_dict()
    for name, report in found.items():
        of_group = test[test[column] == name]
        truth = of_group[list(FINDINGS)].to_numpy().argmax(axis=1)
        called = of_group[[f"score {finding}" for finding in FINDINGS]].to_numpy().argmax(axis=1)
        assert report["accuracy"]["value"] == pytest.approx(sk.accuracy_score(truth, called))


def test_probes_gates_answers_and_sanity_stand_beside_the_figures(figures):
    assert set(figures["probes"]) == set(FINDINGS)
    assert figures["probes"]["Normal"]["model"] == figures["test"]["overall"]["findings"]["Normal"]["auroc"]
    assert figures["gates"]["chest_radiograph"]["value"] == 1.0  # the small bundle's gates are open to all
    assert figures["conformal"]["risk"] == 0.1
    assert set(figures["heat_maps"]["findings"]) == {"Bacterial Pneumonia", "Viral Pneumonia"}  # Normal has no lesion
    assert figures["heat_maps"]["overall"]["hit_rate"]["value"] >= 0
    assert set(figures["sanity"]) == {"correlation", "passes"}


def test_curves_for_plots_are_those_of_the_test_split(stage, predictions):
    test = predictions[predictions["split"] == "test"]
    curves = pd.read_csv(stage[0] / "roc.csv")
    for finding, curve in curves.groupby("finding"):
        area = np.trapezoid(curve["true positive rate"], curve["false positive rate"])
        assert area == pytest.approx(sk.roc_auc_score(test[finding], test[f"score {finding}"]))
    assert len(pd.read_csv(stage[0] / "confusion.csv")) == len(test)
    points = pd.read_csv(stage[0] / "reliability.csv")
    assert points.groupby("finding")["images"].sum().to_dict() == dict.fromkeys(FINDINGS, len(test))


def test_the_page_and_the_summary_name_every_finding(stage):
    folder, printed = stage
    page = (folder / "report.html").read_text(encoding="utf-8")
    for finding in FINDINGS:
        assert finding in page
        assert sum(line.startswith(finding) for line in printed.splitlines()) == 1


def test_without_a_test_split_the_plots_are_empty(cohort, bundle_folder, rows, tmp_path):
    rows[rows["split"] != "test"].to_parquet(tmp_path / "table.parquet", index=False)
    folder, printed = written(tmp_path, bundle_folder, tmp_path / "table.parquet", cohort)
    assert set(json.loads((folder / "metrics.json").read_text())) == {"validation", "heat_maps", "sanity"}
    for name in ("roc.csv", "confusion.csv", "reliability.csv"):
        assert pd.read_csv(folder / name).empty
    assert "no test images" in printed


def test_a_bundle_of_another_model_is_refused(project, bundle_folder, cohort, monkeypatch):
    monkeypatch.chdir(project)
    words = [str(cohort / "splits/pneumonia.parquet"), *["nowhere"] * 4]
    with pytest.raises(BundleError, match="expected a bundle of the model baseline, but received one of pneumonia"):
        main("baseline", str(bundle_folder), *words)


def test_a_split_table_of_another_task_is_refused(params, manifest, rows, tmp_path):
    bundle = stub_bundle(thoracic(manifest, "Mass"), None)
    with pytest.raises(LabelsError, match="expected a column a finding in the split table, but received none for Mass"):
        evaluate(params.evaluate, bundle, rows, tmp_path)


def test_a_table_with_nothing_to_measure_is_refused(params, bundle, rows, tmp_path):
    with pytest.raises(LabelsError, match="expected images in validation, test, external, but received none"):
        evaluate(params.evaluate, bundle, rows.assign(split="train"), tmp_path)
