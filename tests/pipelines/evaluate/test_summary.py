"""The lines that the stage prints."""

from pipelines.evaluate.summary import remarks, shown, summary
from tests.pipelines.evaluate.tables import THREE, head, manifest

NOTHING = {"value": None, "low": None, "high": None}


def estimate(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def finding(auroc, positives=40, negatives=60):
    return {"positives": positives, "negatives": negatives, "auroc": auroc, "ece": {"value": 0.04}}


def probes(confounded):
    return {"model": NOTHING, "trivial": estimate(0.6), "source": NOTHING, "confounded": confounded, "feature": "mean"}


def test_each_finding_has_a_line_with_figure_calibration_and_weaknesses():
    overall = {
        "images": 100,
        "mean_auroc": estimate(0.8),
        "findings": {"Mass": finding(estimate(0.75)), "Hernia": finding(NOTHING, positives=0)},
    }
    figures = {"test": {"overall": overall}, "probes": {"Mass": probes(True), "Hernia": probes(False)}}
    assert summary(manifest(head("Mass", "Hernia")), figures).splitlines() == [
        "small (baseline_cnn)",
        "finding  positives  AUROC                 ECE    trivial  source  remarks",
        "Mass     40         0.750 [0.650, 0.850]  0.040  0.600    –       confounded",
        "Hernia   0          –                     0.040  0.600    –       no positives",
        "test: 100 images, mean_auroc 0.800 [0.700, 0.900]",
    ]


def test_without_test_images_the_summary_says_so_and_tells_of_the_other_splits():
    overall = {"images": 9, "mean_auroc": NOTHING, "accuracy": {"value": 0.5, "low": None, "high": None}}
    assert summary(manifest(THREE), {"validation": {"overall": overall}}).splitlines() == [
        "small (baseline_cnn)",
        "no test images",
        "validation: 9 images, mean_auroc –, accuracy 0.500",
    ]


def test_remarks_say_what_a_figure_lacks():
    assert list(remarks(finding(NOTHING, negatives=0), probes(True))) == ["no negatives", "confounded"]
    assert list(remarks(finding(estimate(0.7), positives=29), {})) == ["few positives"]
    assert list(remarks(finding(estimate(0.7), positives=30), probes(False))) == []


def test_an_estimate_is_shown_with_its_interval_if_it_has_one():
    assert shown(estimate(0.75)) == "0.750 [0.650, 0.850]"
    assert shown({"value": 0.75, "low": None, "high": None}) == "0.750"
    assert shown(NOTHING) == "–"
