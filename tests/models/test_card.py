"""The model card says what a person must know, and warns of a model that saw drawings only."""

import json

import pytest

from models.bundle import Terms
from models.calibration import uncalibrated
from models.card import DRAWN_NOTICE, NOTICE, SourceCard, model_card
from models.conformal import unlimited
from models.findings import TASKS, Head

CHILDREN = SourceCard(
    title="Children's radiographs",
    licence="CC BY 4.0.",
    citation="Someone A. A paper (2018)",
    terms="Attribution.",
    limits="One hospital, children of 1 to 5 years.",
    weights_terms="They may be shared, with attribution.",
    shareable=True,
)
CARDS = {"synthetic": CHILDREN}
COMMAND = "dvc repro release@pneumonia"


def estimate(value, low=None, high=None):
    return {"value": value, "low": low, "high": high}


def finding(positives, auroc):
    return {"positives": positives, "negatives": 50, "auroc": estimate(*auroc), "ece": estimate(0.031, 0.02, 0.05)}


FIGURES = {
    "test": {
        "overall": {
            "images": 150,
            "patients": 120,
            "findings": {
                "Normal": finding(40, (0.991, 0.98, 1.0)),
                "Bacterial Pneumonia": finding(70, (0.93, 0.9, 0.95)),
                "Viral Pneumonia": finding(0, (None,)),
            },
            "accuracy": estimate(0.81, 0.75, 0.86),
            "balanced_accuracy": estimate(0.8, 0.74, 0.85),
            "macro_auroc": estimate(0.95, 0.93, 0.97),
            "normal_auroc": estimate(0.991, 0.98, 1.0),
        }
    },
    "probes": {
        name: {
            "model": estimate(0.9, 0.8, 0.95),
            "trivial": estimate(0.88, 0.8, 0.9),
            "source": estimate(0.5),
            "confounded": name == "Normal",
            "feature": "sharpness",
        }
        for name in ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
    },
    "gates": {"chest_radiograph": estimate(0.998, 0.99, 1.0), "in_distribution": estimate(0.97, 0.95, 0.99)},
    "conformal": {
        "risk": 0.1,
        "findings": {
            "Normal": {"missed": estimate(0.05, 0.0, 0.11), "uncertain": estimate(0.3, 0.2, 0.4)},
        },
        "heads": {
            "pneumonia": {"missed": estimate(0.08), "abstained": estimate(0.41), "accuracy": estimate(0.93)},
        },
    },
    "heat_maps": {
        "overall": {
            "lesions": 30,
            "hit_rate": estimate(0.87, 0.7, 0.95),
            "iou": estimate(0.25, 0.2, 0.3),
            "chance": 0.21,
        },
        "findings": {
            "Viral Pneumonia": {
                "lesions": 30,
                "hit_rate": estimate(0.87, 0.7, 0.95),
                "iou": estimate(0.25, 0.2, 0.3),
                "chance": 0.21,
            }
        },
    },
    "sanity": {"correlation": 0.137, "passes": True},
}


def card(manifest, figures=FIGURES, cards=CARDS):
    return model_card(manifest, figures, cards, COMMAND)


def section(text, name):
    return text.partition(f"\n## {name}\n\n")[2].partition("\n\n## ")[0]


def changed(manifest, **training):
    return manifest.model_copy(update={"training": manifest.training.model_copy(update=training)})


def test_every_card_says_that_it_is_not_for_diagnosis(manifest):
    assert NOTICE == "Research use. Not for diagnosis."
    assert card(manifest).startswith(f"# Model card: pneumonia\n\n**{NOTICE}**")
    assert NOTICE in card(manifest, figures=None)


@pytest.mark.parametrize("drawn", [True, False])
def test_a_model_of_drawings_says_so_and_no_other(manifest, drawn):
    assert DRAWN_NOTICE == "This model was trained on drawings: its scores on a real radiograph mean nothing."
    assert (DRAWN_NOTICE in card(changed(manifest, drawn=drawn))) is drawn


def test_each_finding_has_its_row_of_figures(manifest):
    rows = [line for line in section(card(manifest), "What it answers").splitlines() if line.startswith("|")]
    assert rows == [
        "| finding | operating point | positives | AUROC | ECE | AUROC of trivial features | of the source |  |",
        "|---|---|---|---|---|---|---|---|",
        "| Normal | 0.200 | 40 | 0.991 [0.980, 1.000] | 0.031 [0.020, 0.050] | 0.880 [0.800, 0.900] | 0.500 |  |",
        "| Bacterial Pneumonia | 0.300 | 70 | 0.930 [0.900, 0.950] | 0.031 [0.020, 0.050] | 0.880 [0.800, 0.900] "
        "| 0.500 |  |",
        "| Viral Pneumonia | 0.400 | 0 | not defined | 0.031 [0.020, 0.050] | 0.880 [0.800, 0.900] | 0.500 |  |",
    ]


def test_a_model_that_was_not_measured_says_so_and_gives_its_thresholds(manifest):
    answers = section(card(manifest, figures=None), "What it answers")
    assert "It was not measured yet." in answers
    assert "| Viral Pneumonia | 0.400 |" in answers.splitlines()


def test_a_confounded_finding_is_marked_and_explained(manifest):
    marked = section(card(manifest.model_copy(update={"confounded": ("Normal",)})), "What it answers")
    assert [line.endswith("| confounded |") for line in marked.splitlines() if line.startswith("| N")] == [True]
    assert marked.count("A finding marked confounded is told nearly as well without looking at disease") == 1
    assert "marked confounded" not in card(manifest)


def test_classes_have_their_figures_as_a_whole(manifest):
    assert (
        "Of the classes as a whole: accuracy 0.810 [0.750, 0.860], balanced accuracy 0.800 [0.740, 0.850], "
        "mean AUROC of the classes 0.950 [0.930, 0.970], AUROC of normal against the rest 0.991 [0.980, 1.000]."
    ) in card(manifest)


def test_other_sites_are_told_apart_and_missed_where_they_are(manifest):
    unmeasured = "It was not measured at any site that did not train it"
    assert unmeasured in section(card(manifest), "Limits")
    external = FIGURES | {"external": {"overall": {"findings": {"Normal": finding(12, (0.83, 0.7, 0.9))}}}}
    assert "At sites that trained nothing:" in card(manifest, external)
    assert "| Normal | 12 | 0.830 [0.700, 0.900] |" in card(manifest, external).splitlines()
    assert unmeasured not in card(manifest, external)


def test_heat_maps_stand_beside_chance_and_the_test_with_shuffled_weights(manifest):
    maps = section(card(manifest), "Heat maps")
    assert "| all | 30 | 0.870 [0.700, 0.950] | 0.210 | 0.250 [0.200, 0.300] |" in maps.splitlines()
    assert "(Adebayo et al. 2018): passed; maps before and after are alike by a rank correlation of 0.14." in maps
    failed = FIGURES | {"sanity": {"correlation": 0.9, "passes": False}}
    assert "FAILED" in section(card(manifest, failed), "Heat maps")


def test_maps_that_could_not_be_scored_say_so(manifest):
    without = FIGURES | {"heat_maps": {}, "sanity": {}}
    assert "No lesion is known in its test images" in section(card(manifest, without), "Heat maps")


def test_gates_and_uncertain_answers_have_their_shares(manifest):
    decisions = section(card(manifest), "Gates and uncertainty")
    assert "`chest_radiograph` 0.998 [0.990, 1.000], `in_distribution` 0.970 [0.950, 0.990]." in decisions
    assert "At most 10% of the images with a finding are to be called free of it" in decisions
    assert "| Normal | 0.050 [0.000, 0.110] | 0.300 [0.200, 0.400] |" in decisions.splitlines()
    assert "not among those left possible for 0.080; it abstains for 0.410; accuracy of the others 0.930." in decisions


def test_it_tells_where_the_weights_come_from(manifest):
    text = card(
        changed(
            manifest,
            sources=("kermany", "shenzhen"),
            images=5216,
            parameters={"seed": 7, "epochs": 20, "augment": {"zoom": 0.1}},
            versions={"keras": "3.15.1", "tensorflow": "2.21.0"},
        )
    )
    training = section(text, "Training")
    assert "Backbone `baseline_cnn`; 5216 images of: kermany, shenzhen." in training
    assert f"Code {'0' * 40}; data sha256:{'0' * 64}." in training
    assert json.loads(training.partition("```json\n")[2].partition("\n```")[0]) == {
        "seed": 7,
        "epochs": 20,
        "augment": {"zoom": 0.1},
    }
    assert "Libraries: keras 3.15.1, tensorflow 2.21.0." in training
    assert "150 x 150 px" in section(text, "What it answers")
    assert f"`{COMMAND}`" in section(text, "To make it again")


def test_each_source_is_named_with_licence_terms_citation_and_limits(manifest):
    text = card(manifest)
    assert (
        "* `synthetic`: Children's radiographs. Licence: CC BY 4.0. Terms: Attribution. Cite: Someone A. A paper (2018)"
    ) in section(text, "Training").splitlines()
    assert "* `synthetic`: One hospital, children of 1 to 5 years." in section(text, "Limits").splitlines()


def test_terms_of_weights_say_whether_they_may_be_shared_and_who_forbids_it(manifest):
    assert section(card(manifest), "Terms of the weights").splitlines() == [
        "The weights may be shared, on these terms:",
        "",
        "* `synthetic`: allowed",
    ]
    closed = manifest.model_copy(update={"terms": Terms(shareable=False, by_source={"synthetic": "Ask first."})})
    forbidding = {"synthetic": SourceCard("t", "l", "c", "t", "l", "Ask first.", shareable=False)}
    assert section(card(closed, cards=forbidding), "Terms of the weights").splitlines() == [
        "The weights may NOT be given to others:",
        "",
        "* `synthetic` (not to be shared): Ask first.",
    ]


@pytest.mark.parametrize(("group", "refused"), [("child", "adults"), ("adult", "children"), ("any", None)])
def test_it_says_whom_it_is_for(manifest, group, refused):
    use = section(card(manifest.model_copy(update={"age_group": group})), "Intended use")
    assert ("it refuses those whose age says so" in use) is (refused is not None)
    if refused:
        assert f"* {refused}: it refuses" in use


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_has_a_card_with_its_limits(manifest, task):
    heads = (Head(name=task.name, kind=task.kind, findings=task.findings),)
    of_task = manifest.model_copy(
        update={
            "name": task.name,
            "task": task.name,
            "heads": heads,
            "operating_points": (0.5,) * len(task.findings),
            "calibration": uncalibrated(heads),
            "conformal": unlimited(heads),
        }
    )
    text = card(of_task, figures=None)
    assert text.startswith(f"# Model card: {task.name}\n")
    limits = section(text, "Limits").splitlines()
    assert len(limits) >= 3
    assert all(line.startswith("* ") for line in limits)
