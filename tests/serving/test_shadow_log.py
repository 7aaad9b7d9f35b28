"""What is kept of production and its shadow, and what it comes to."""

import numpy as np
import pytest

from serving import shadow_log
from serving.schemas import FindingAnswer
from serving.shadow_log import Pair, ShadowLog, summary


def pair(finding, production, shadow, point=0.55):
    """What two versions say, by their probabilities; from the operating point on it is called present."""
    answers = [
        FindingAnswer(
            finding=finding,
            score=probability,
            probability=probability,
            operating_point=point,
            absent_below=point,
            present=probability >= point,
            uncertain=False,
            confounded=False,
        )
        for probability in (production, shadow)
    ]
    return Pair(finding, *answers)


@pytest.fixture
def log(tmp_path):
    return ShadowLog(tmp_path)


def test_pairs_come_back_by_model_and_versions(log):
    log.add("thoracic", ("a", "b"), [pair("Mass", 0.25, 0.5), pair("Edema", 0.75, 0.5)], 0.02, 0.03)
    log.add("thoracic", ("a", "c"), [pair("Mass", 0.25, 0.5)], 0.02, 0.03)
    log.add("pneumonia", ("a", "b"), [pair("Normal", 0.25, 0.5)], 0.02, 0.03)
    rows = log.read("thoracic", "a", "b")
    assert rows["finding"].tolist() == ["Mass", "Edema"]
    assert rows["production_probability"].tolist() == [0.25, 0.75]
    assert rows["shadow_present"].tolist() == [0, 0]
    assert rows["production_present"].tolist() == [0, 1]


def test_nothing_is_known_before_there_was_a_shadow(log, tmp_path):
    assert log.read("thoracic", "a", "b").empty
    assert list(tmp_path.iterdir()) == []


def test_only_numbers_findings_and_versions_are_kept(log):
    log.add("thoracic", ("a", "b"), [pair("Mass", 0.25, 0.5)], 0.02, 0.03)
    assert log.read("thoracic", "a", "b").columns.tolist() == [
        *("hour", "radiograph", "model", "production", "shadow", "finding"),
        *("production_probability", "shadow_probability", "production_present", "shadow_present"),
        *("production_seconds", "shadow_seconds"),
    ]


def test_the_oldest_rows_go(log, monkeypatch):
    monkeypatch.setattr(shadow_log, "_MAX_ROWS", 10)
    for number in range(25):
        log.add("thoracic", ("a", "b"), [pair("Mass", number / 100, 0.5)], 0.02, 0.03)
    assert log.read("thoracic", "a", "b")["production_probability"].tolist() == [n / 100 for n in range(15, 25)]


def test_agreement_has_its_interval_and_differences_their_sign(log):
    # 8 of 10 agree; Wilson's 95 % interval of 8 in 10 is 0.490 to 0.943 (Newcombe 1998, method 3, by hand)
    for number in range(10):
        log.add("thoracic", ("a", "b"), [pair("Mass", 0.5, 0.6 if number < 2 else 0.4)], 0.02, 0.03)
    (row,) = summary(log.read("thoracic", "a", "b")).to_dict("records")
    assert (row["finding"], row["radiographs"]) == ("Mass", 10)
    assert [row["agreement"], row["low"], row["high"]] == pytest.approx([0.8, 0.490, 0.943], abs=0.001)
    assert [row["present_production"], row["present_shadow"]] == [0.0, 0.2]
    assert row["difference"] == pytest.approx(np.mean([0.1] * 2 + [-0.1] * 8))
    assert row["distance"] == pytest.approx(0.1)
