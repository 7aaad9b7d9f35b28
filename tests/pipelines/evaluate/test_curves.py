"""Curves of the test split, as `dvc plots` reads them."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipelines.evaluate.curves import confusion_table, reliability_table, roc_table
from tests.pipelines.evaluate.tables import THREE, head, manifest, predicted

MODEL = manifest(head("Mass", "Hernia"))


@pytest.fixture
def rows(noise):
    mass = noise.integers(0, 2, 80).astype(float)
    mass[:5] = np.nan
    return predicted(
        MODEL,
        {"Mass": mass, "Hernia": np.zeros(80)},
        {"Mass": noise.uniform(size=80), "Hernia": noise.uniform(size=80)},
    )


def test_the_area_below_a_curve_is_the_auroc_of_the_known(rows):
    curve = roc_table(MODEL, rows)
    assert set(curve["finding"]) == {"Mass"}  # Hernia is absent everywhere
    area = np.trapezoid(curve["true positive rate"], curve["false positive rate"])
    assert area == pytest.approx(roc_auc_score(rows["Mass"][5:], rows["score Mass"][5:]))


def test_reliability_counts_each_known_image_once(rows):
    points = reliability_table(MODEL, rows)
    assert points.groupby("finding")["images"].sum().to_dict() == {"Mass": 75, "Hernia": 80}
    of_mass = points[points["finding"] == "Mass"]
    mean = np.average(of_mass["share present"], weights=of_mass["images"])
    assert mean == pytest.approx(rows["Mass"].mean())
    assert set(points[points["finding"] == "Hernia"]["share present"]) == {0.0}


def test_confusion_names_truth_and_answer_of_the_known():
    model = manifest(THREE)
    truth = np.vstack([np.eye(3), [np.nan] * 3])
    scores = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [1, 0, 0]])
    rows = predicted(
        model, dict(zip(THREE.findings, truth.T, strict=True)), dict(zip(THREE.findings, scores.T, strict=True))
    )
    table = confusion_table(model, rows)
    assert list(table.itertuples(index=False, name=None)) == [
        ("Normal", "Normal"),
        ("Bacterial Pneumonia", "Normal"),
        ("Viral Pneumonia", "Viral Pneumonia"),
    ]


def test_without_images_the_tables_are_empty_but_have_their_columns(rows):
    for table, columns in (
        (roc_table(MODEL, rows[:0]), ["finding", "false positive rate", "true positive rate"]),
        (confusion_table(MODEL, rows[:0]), ["actual", "predicted"]),
        (reliability_table(MODEL, rows[:0]), ["finding", "mean probability", "share present", "images"]),
    ):
        assert table.empty
        assert list(table.columns) == columns
