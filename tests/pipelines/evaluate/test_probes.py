"""Probes of drawn numbers, and when a finding is called confounded."""

import numpy as np
import pandas as pd
import pytest

from pipelines.evaluate.probes import is_confounded, probe_figures
from pipelines.facts import TRIVIAL
from tests.pipelines.evaluate.tables import SETTINGS, head, manifest, predicted

MASS = manifest(head("Mass"))
COUNT = 200


def estimate(value, margin=0.02):
    return {"value": value, "low": value - margin, "high": value + margin}


@pytest.fixture
def probed(tmp_path, noise):
    """The probes of a table's test half, its other half being the training images, with these trivial features."""

    def probe(labels, scores, source="one", **features):
        rows = predicted(MASS, {"Mass": labels}, {"Mass": scores}, source=source)
        facts = pd.DataFrame({name: noise.normal(size=len(rows)).astype(np.float32) for name in TRIVIAL})
        facts = facts.assign(image=rows["image"], **features)
        for name, of_source in facts.groupby(rows["source"]):
            (tmp_path / name).mkdir()
            of_source.sample(frac=1, random_state=1).to_parquet(tmp_path / name / "0.parquet", index=False)
        half = len(rows) // 2
        return probe_figures(SETTINGS, MASS, rows[:half], rows[half:], tmp_path)["Mass"]

    return probe


def test_a_finding_that_brightness_follows_is_confounded(probed, noise):
    labels = noise.integers(0, 2, COUNT)
    found = probed(labels, labels, mean=labels + noise.normal(scale=0.1, size=COUNT))
    assert found["model"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["trivial"]["value"] > 0.97
    assert (found["confounded"], found["feature"]) == (True, "mean")
    assert found["source"] == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_probes_that_tell_nothing_confound_nothing_however_bad_the_model_is(probed, noise):
    found = probed(noise.integers(0, 2, COUNT), noise.uniform(size=COUNT))
    assert found["model"]["value"] == pytest.approx(0.5, abs=0.15)
    assert found["trivial"]["value"] == pytest.approx(0.5, abs=0.15)
    assert not found["confounded"]


def test_a_source_tells_what_its_training_images_had(probed):
    # Of each half, source a has 8 of 10 positives, b 2 of 10: (8 * 8 + (8 * 2 + 2 * 8) / 2) of 100 pairs are told.
    labels = ([1] * 8 + [0] * 2 + [1] * 2 + [0] * 8) * 2
    found = probed(labels, labels, source=(["a"] * 10 + ["b"] * 10) * 2)
    assert found["source"]["value"] == pytest.approx(0.8)


def test_a_source_that_trained_nothing_tells_what_all_training_images_had(probed):
    found = probed([1, 0, 0, 0, 1, 0, 1, 0], [0.5] * 8, source=["a"] * 4 + ["a", "a", "b", "b"])
    assert found["source"]["value"] == 0.5


def test_the_view_is_a_trivial_feature(tmp_path, noise):
    labels = noise.integers(0, 2, COUNT)
    rows = predicted(MASS, {"Mass": labels}, {"Mass": labels}, view_position=np.where(labels == 1, "AP", "PA"))
    (tmp_path / "one").mkdir()
    facts = pd.DataFrame(dict.fromkeys(TRIVIAL, 1.0), index=rows.index).assign(image=rows["image"])
    facts.to_parquet(tmp_path / "one/0.parquet")
    found = probe_figures(SETTINGS, MASS, rows[:100], rows[100:], tmp_path)["Mass"]
    assert (found["feature"], found["trivial"]["value"], found["confounded"]) == ("view", 1.0, True)


@pytest.mark.parametrize("of_training", [[np.nan] * 20, [0] * 20, [1] * 20])
def test_without_both_classes_in_training_there_is_no_probe(probed, of_training):
    found = probed([*of_training, *[0, 1] * 10], [0, 1] * 20)
    assert found["model"]["value"] == 1.0
    assert found["trivial"] == found["source"] == {"value": None, "low": None, "high": None}
    assert (found["feature"], found["confounded"]) == (None, False)


def test_without_both_classes_in_the_test_split_nothing_is_defined(probed):
    found = probed([0, 1] * 10 + [0] * 20, [0.5] * 40)
    assert found["model"]["value"] is found["trivial"]["value"] is found["source"]["value"] is None
    assert not found["confounded"]


@pytest.mark.parametrize(
    ("model", "trivial", "source", "confounded"),
    [
        (0.80, estimate(0.78), estimate(0.5, 0), True),
        (0.80, estimate(0.76), estimate(0.5, 0), False),
        (0.80, estimate(0.60), estimate(0.95), True),
        (0.52, estimate(0.55, 0.06), estimate(0.5, 0), False),  # the probe's interval holds one half
        (0.80, {"value": 0.9, "low": None, "high": None}, estimate(0.5, 0), False),
        (None, estimate(0.78), estimate(0.78), False),
    ],
)
def test_a_finding_is_confounded_where_a_probe_that_tells_anything_comes_near(model, trivial, source, confounded):
    of_model = {"value": model, "low": None, "high": None}
    assert is_confounded({"model": of_model, "trivial": trivial, "source": source}) == confounded
