"""Figures of tables that are written down here, against figures found by hand."""

import numpy as np
import pandas as pd
import pytest

from pipelines.evaluate.figures import age_groups, counted_labels, figures, split_figures
from tests.pipelines.evaluate.tables import SETTINGS, THREE, head, manifest, predicted

NOTHING = {"value": None, "low": None, "high": None}
MASS = manifest(head("Mass"))


def one_finding(labels, scores, **columns):
    return predicted(MASS, {"Mass": labels}, {"Mass": scores}, **columns)


def test_figures_of_four_images_are_those_found_by_hand():
    report = figures(SETTINGS, MASS, one_finding([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1]))
    assert (report["images"], report["patients"]) == (4, 4)
    found = report["findings"]["Mass"]
    assert (found["positives"], found["negatives"]) == (2, 2)
    assert {name: found[name]["value"] for name in ("auroc", "sensitivity", "specificity", "auprc", "brier")} == (
        pytest.approx(
            {"auroc": 0.75, "sensitivity": 0.5, "specificity": 0.5, "auprc": (1 + 2 / 3) / 2, "brier": 0.74 / 4}
        )
    )
    assert all(found[name]["low"] is None for name in ("auroc", "ece"))  # four patients


def test_enough_patients_give_every_figure_its_interval(noise):
    labels = np.arange(60) % 2
    found = figures(SETTINGS, MASS, one_finding(labels, labels * 0.2 + noise.uniform(0, 0.8, 60)))["findings"]["Mass"]
    for name in ("auroc", "auprc", "sensitivity", "specificity", "brier"):
        assert 0 <= found[name]["low"] < found[name]["value"] < found[name]["high"] <= 1, name
    assert found["ece"]["low"] <= found["ece"]["high"]


@pytest.mark.parametrize(("label", "undefined"), [(0, "sensitivity"), (1, "specificity")])
def test_one_class_only_gives_nulls_and_what_is_defined(label, undefined):
    found = figures(SETTINGS, MASS, one_finding([label] * 12, [0.1] * 12))["findings"]["Mass"]
    assert found["auroc"] == found[undefined] == NOTHING
    assert found["brier"]["value"] is not None


def test_a_finding_that_is_nowhere_known_gives_nulls():
    report = figures(SETTINGS, MASS, one_finding([np.nan] * 12, [0.1] * 12))
    assert report["findings"]["Mass"].pop("positives") == report["findings"]["Mass"].pop("negatives") == 0
    assert all(found == NOTHING for found in report["findings"]["Mass"].values())
    assert report["mean_auroc"] == NOTHING


@pytest.mark.parametrize(("positives", "mean"), [(30, 1.0), (29, 0.5)])
def test_the_mean_is_over_findings_with_thirty_positives_or_else_over_all(positives, mean):
    model = manifest(head("Mass", "Nodule", "Hernia"))
    mass = np.arange(80) < positives
    nodule = np.arange(80) < 10
    labels = {"Mass": mass, "Nodule": nodule, "Hernia": np.zeros(80)}
    rows = predicted(model, labels, {"Mass": mass, "Nodule": ~nodule, "Hernia": np.zeros(80)})
    found = figures(SETTINGS, model, rows)["mean_auroc"]
    assert found == {"value": mean, "low": mean, "high": mean}


def test_the_interval_of_the_mean_is_narrower_than_those_it_is_of(noise):
    model = manifest(head("Mass", "Nodule"))
    labels = {name: noise.integers(0, 2, 100) for name in model.findings}
    scores = {name: 0.3 * labels[name] + noise.uniform(0, 0.7, 100) for name in labels}
    report = figures(SETTINGS, model, predicted(model, labels, scores))
    widths = [found["high"] - found["low"] for found in (one["auroc"] for one in report["findings"].values())]
    assert report["mean_auroc"]["high"] - report["mean_auroc"]["low"] < min(widths)


def test_a_multiclass_head_is_measured_as_a_whole_where_its_labels_are_known():
    model = manifest(THREE)
    truth = [0, 1, 2, 2, None]
    labels = {
        name: [np.nan if of_image is None else float(of_image == at) for of_image in truth]
        for at, name in enumerate(THREE.findings)
    }
    scores = dict(
        zip(THREE.findings, np.array([[8, 1, 1], [2, 7, 1], [1, 6, 3], [1, 2, 7], [9, 0, 1]]).T / 10, strict=True)
    )
    report = figures(SETTINGS, model, predicted(model, labels, scores))
    assert report["accuracy"]["value"] == 0.75
    assert report["balanced_accuracy"]["value"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert report["log_loss"]["value"] == pytest.approx(-np.log([0.8, 0.7, 0.3, 0.7]).mean())
    assert report["confusion_matrix"] == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert report["normal_auroc"]["value"] == 1.0
    assert report["macro_auroc"]["value"] == pytest.approx((1 + 1 + 1) / 3)


def test_a_multiclass_head_without_any_known_label_gives_nulls():
    model = manifest(THREE)
    labels = dict.fromkeys(THREE.findings, [np.nan] * 3)
    report = figures(SETTINGS, model, predicted(model, labels, dict.fromkeys(THREE.findings, [0.3] * 3)))
    assert report["accuracy"] == report["log_loss"] == report["macro_auroc"] == report["normal_auroc"] == NOTHING
    assert report["confusion_matrix"] == [[0] * 3] * 3


def test_a_source_that_does_not_train_a_head_counts_for_it_only_where_it_is_external():
    model = manifest(head("Mass"), head("Tuberculosis"), sources={"tuberculosis": ["one"]})
    rows = pd.DataFrame(
        {
            "source": ["one", "two", "two", "two", "two"],
            "split": ["test", "test", "validation", "external", "train"],
            "Mass": [1.0, 0.0, 1.0, 0.0, 0.0],
            "Tuberculosis": [1.0, 0.0, 0.0, 0.0, 0.0],
        }
    )
    counted = counted_labels(model, rows)
    assert counted["Tuberculosis"].isna().tolist() == [False, True, True, False, True]
    assert counted["Mass"].tolist() == rows["Mass"].tolist()
    assert rows["Tuberculosis"].notna().all()


def test_groups_are_measured_by_themselves_and_who_is_in_none_is_left_out():
    rows = one_finding([1, 0, 1, 0], [0.9, 0.1, 0.2, 0.8], sex=["F", "F", "M", "M"], source=["a", "b", "a", "b"])
    found = split_figures(SETTINGS, MASS, rows)
    assert {name: of["findings"]["Mass"]["auroc"]["value"] for name, of in found["by_sex"].items()} == {"F": 1, "M": 0}
    assert {name: of["images"] for name, of in found["by_source"].items()} == {"a": 2, "b": 2}
    assert found["by_view_position"] == found["by_age_group"] == {}
    assert found["overall"]["findings"]["Mass"]["auroc"]["value"] == 0.75


def test_ages_fall_into_their_groups():
    expected = {
        0.5: "0-5",
        5.9: "0-5",
        6.0: "6-17",
        17.9: "6-17",
        18.0: "18-64",
        64.9: "18-64",
        65.0: "65+",
        99.0: "65+",
    }
    assert dict(zip(expected, age_groups(pd.Series(list(expected))), strict=True)) == expected
    assert age_groups(pd.Series([np.nan])).isna().all()
