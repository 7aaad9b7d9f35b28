"""The figures of a bundle, against scikit-learn's for the same predictions."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from pipelines.evaluate import evaluate, main
from tests.pipelines.conftest import write_params

FINDINGS = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
GROUPS = ("by_source", "by_view_position", "by_sex", "by_age_group")
WHOLE = ("accuracy", "balanced_accuracy", "log_loss", "macro_auroc")
OF_A_FINDING = ("auroc", "auprc", "sensitivity", "specificity", "brier", "ece")


def written(project, bundle_folder, table, shards):
    """The folder that the stage writes."""
    write_params(project)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(project)
        main(str(bundle_folder), str(table), str(shards), "evaluation")
    return project / "evaluation"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cohort, bundle_folder):
    project = tmp_path_factory.mktemp("evaluation")
    return written(project, bundle_folder, cohort / "splits/pneumonia.parquet", cohort / "shards")


@pytest.fixture(scope="module")
def figures(folder):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((folder / "metrics.json").read_text(), parse_constant=refuse)


@pytest.fixture(scope="module")
def predictions(folder):
    return pd.read_parquet(folder / "predictions.parquet")


def estimates(report):
    """Every figure below a report, with its name."""
    yield from ((name, report[name]) for name in WHOLE)
    for finding in FINDINGS:
        yield from ((f"{finding} {name}", report["findings"][finding][name]) for name in OF_A_FINDING)


def reports(figures):
    for split in figures.values():
        yield split["overall"]
        for by in GROUPS:
            yield from split[by].values()


def test_validation_and_test_are_measured(figures, cohort):
    rows = pd.read_parquet(cohort / "splits/pneumonia.parquet")
    assert set(figures) == {"validation", "test"}
    for split, report in figures.items():
        of_split = rows[rows["split"] == split]
        assert report["overall"]["images"] == len(of_split) > 0
        assert report["overall"]["patients"] == of_split["group"].nunique()
        assert set(report) == {"overall", *GROUPS}


def test_every_figure_has_its_interval_or_is_null(figures):
    seen, null = 0, 0
    for report in reports(figures):
        for name, figure in estimates(report):
            assert set(figure) == {"value", "low", "high"}, name
            if figure["value"] is None:
                assert figure["low"] is figure["high"] is None, name
                null += 1
            else:
                assert figure["low"] <= figure["high"], name
                assert name == "log_loss" or 0 <= figure["low"] <= figure["high"] <= 1, name
                seen += 1
    assert seen > 100
    assert null > 0  # some small group lacks a class


def test_intervals_hold_the_figure_of_the_whole_test_split(figures):
    for name, figure in estimates(figures["test"]["overall"]):
        if not name.endswith("ece"):  # resampling biases it upwards
            assert figure["low"] <= figure["value"] <= figure["high"], name


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
    assert {name: report[name]["value"] for name in WHOLE} == pytest.approx(
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
    for split in ("validation", "test"):
        of_split = predictions[predictions["split"] == split]
        found = figures[split][f"by_{column}"]
        assert {name: report["images"] for name, report in found.items()} == of_split[column].value_counts().to_dict()
        for name, report in found.items():
            of_group = of_split[of_split[column] == name]
            truth = of_group[list(FINDINGS)].to_numpy().argmax(axis=1)
            called = of_group[[f"score {finding}" for finding in FINDINGS]].to_numpy().argmax(axis=1)
            assert report["accuracy"]["value"] == pytest.approx(sk.accuracy_score(truth, called))


def test_ages_fall_into_their_groups(params, bundle, cohort, tmp_path):
    rows = pd.read_parquet(cohort / "splits/pneumonia.parquet")
    groups = {0.5: "0-5", 5.9: "0-5", 6.0: "6-17", 17.9: "6-17", 18.0: "18-64", 64.9: "18-64", 65.0: "65+", 99.0: "65+"}
    rows["split"] = "test"
    rows["age_years"] = np.resize(list(groups), len(rows))
    rows.to_parquet(tmp_path / "table.parquet", index=False)
    figures, predictions = evaluate(params.evaluate, bundle, tmp_path / "table.parquet", cohort / "shards")
    assert dict(zip(predictions["age_years"], predictions["age_group"], strict=True)) == groups
    assert set(figures["test"]["by_age_group"]) == {"0-5", "6-17", "18-64", "65+"}


def test_who_has_no_known_age_is_in_no_group(params, bundle, cohort, tmp_path):
    rows = pd.read_parquet(cohort / "splits/pneumonia.parquet")
    rows["age_years"], rows["sex"] = np.float32("nan"), None
    rows.to_parquet(tmp_path / "table.parquet", index=False)
    figures, _ = evaluate(params.evaluate, bundle, tmp_path / "table.parquet", cohort / "shards")
    assert figures["test"]["by_age_group"] == figures["test"]["by_sex"] == {}
    assert figures["test"]["by_view_position"]


def test_the_same_seed_gives_the_same_intervals(params, figures, bundle, cohort):
    again, _ = evaluate(params.evaluate, bundle, cohort / "splits/pneumonia.parquet", cohort / "shards")
    assert again == figures


def test_curves_for_plots_follow_from_the_predictions(folder, predictions):
    test = predictions[predictions["split"] == "test"]
    curves = pd.read_csv(folder / "roc.csv")
    assert set(curves["finding"]) == set(FINDINGS)
    for finding, curve in curves.groupby("finding"):
        area = np.trapezoid(curve["true positive rate"], curve["false positive rate"])
        assert area == pytest.approx(sk.roc_auc_score(test[finding], test[f"score {finding}"]))
    called = pd.read_csv(folder / "confusion.csv")
    assert len(called) == len(test)
    assert called["actual"].value_counts().to_dict() == test[list(FINDINGS)].sum()[lambda n: n > 0].to_dict()


def test_without_a_test_split_the_plots_are_empty(cohort, bundle_folder, tmp_path):
    rows = pd.read_parquet(cohort / "splits/pneumonia.parquet")
    rows[rows["split"] != "test"].to_parquet(tmp_path / "table.parquet", index=False)
    folder = written(tmp_path, bundle_folder, tmp_path / "table.parquet", cohort / "shards")
    assert set(json.loads((folder / "metrics.json").read_text())) == {"validation"}
    for name, columns in (
        ("roc.csv", ["finding", "false positive rate", "true positive rate"]),
        ("confusion.csv", ["actual", "predicted"]),
    ):
        plot = pd.read_csv(folder / name)
        assert plot.empty
        assert list(plot.columns) == columns
