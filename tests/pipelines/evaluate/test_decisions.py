"""Gates and conformal answers of tables that are written down here."""

import numpy as np
import pytest

from pipelines.evaluate.decisions import conformal_figures, gate_figures
from tests.pipelines.evaluate.tables import SETTINGS, THREE, head, manifest, predicted

MASS = manifest(head("Mass"), point=0.5, absent_below=0.2)


def test_the_share_that_passes_each_gate_is_counted_from_its_threshold():
    rows = predicted(MASS, {"Mass": [0] * 4}, {"Mass": [0.1] * 4})
    rows["gate chest_radiograph"], rows["gate in_distribution"] = [0.5, 0.49, 1.0, 0.9], [0.01, 0.009, 0.001, 1.0]
    found = gate_figures(SETTINGS, rows)
    assert found["chest_radiograph"]["value"] == 0.75
    assert found["in_distribution"]["value"] == 0.5


def test_missed_are_the_present_that_are_called_absent():
    # Present from 0.5, absent below 0.2, uncertain between.
    labels, scores = [1, 1, 1, 1, 0, 0, np.nan], [0.9, 0.3, 0.1, 0.6, 0.1, 0.3, 0.3]
    found = conformal_figures(SETTINGS, MASS, predicted(MASS, {"Mass": labels}, {"Mass": scores}))
    assert found["risk"] == 0.1
    assert found["findings"]["Mass"]["missed"]["value"] == 0.25
    assert found["findings"]["Mass"]["uncertain"]["value"] == pytest.approx(2 / 6)
    assert found["heads"] == {}


def test_shares_have_intervals_and_are_null_without_positives(noise):
    rows = predicted(MASS, {"Mass": noise.integers(0, 2, 50)}, {"Mass": noise.uniform(size=50)})
    missed = conformal_figures(SETTINGS, MASS, rows)["findings"]["Mass"]["missed"]
    assert missed["low"] < missed["value"] < missed["high"]
    none = conformal_figures(SETTINGS, MASS, rows.assign(Mass=0.0))["findings"]["Mass"]["missed"]
    assert none == {"value": None, "low": None, "high": None}


def test_a_multiclass_head_abstains_where_not_exactly_one_class_is_possible():
    model = manifest(THREE, absent_below=0.4)
    scores = np.array([[0.8, 0.1, 0.1], [0.45, 0.45, 0.1], [0.35, 0.35, 0.3], [0.1, 0.7, 0.2], [0.3, 0.3, 0.4]])
    truth = np.eye(3)[[0, 0, 2, 2, 2]]
    rows = predicted(
        model, dict(zip(THREE.findings, truth.T, strict=True)), dict(zip(THREE.findings, scores.T, strict=True))
    )
    (found,) = conformal_figures(SETTINGS, model, rows)["heads"].values()
    assert found["abstained"]["value"] == pytest.approx(0.4)  # the second and the third
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)  # of the first, the fourth and the fifth
    assert found["missed"]["value"] == pytest.approx(0.4)  # the third and the fourth
