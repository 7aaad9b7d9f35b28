"""The answer, as the interface describes it: what is refused, where the model holds back, and why."""

import copy
import re
from dataclasses import replace

import numpy as np
import pytest

from models.bundle import Prediction
from models.errors import NoChestError
from models.findings import Head
from models.gates import GateValues
from models.radiograph import RadiographTags
from serving.answering import prediction_response
from serving.schemas import ModelName, PredictionResponse

MODEL = ModelName(name="pneumonia", version="3", digest="sha256:" + "a" * 64)
PREDICTION = Prediction(
    logits=np.log([0.1, 0.6, 0.3]),
    scores=np.array([0.1, 0.6, 0.3]),
    probabilities=np.array([0.125, 0.5, 0.375]),
    present=np.array([False, True, False]),
    uncertain=np.array([False, False, False]),
    embedding=np.zeros(4),
    maps=np.zeros((2, 2, 3), np.float32),
    gates=GateValues(chest_radiograph=0.99, in_distribution=0.8),
)
DRAWN = "This model was trained on drawings: its scores on a real radiograph mean nothing."


@pytest.fixture(scope="module")
def real(bundle):
    """The bundle, but trained on real radiographs."""
    training = bundle.manifest.training.model_copy(update={"drawn": False, "sources": ("kermany",)})
    return changed(bundle, training=training)


def changed(bundle, **manifest):
    """The bundle with other words in its manifest."""
    other = copy.copy(bundle)
    other.manifest = bundle.manifest.model_copy(update=manifest)
    return other


def answer(bundle, prediction=PREDICTION, **tags):
    return prediction_response(bundle, MODEL, prediction, RadiographTags(**tags))


def unsure(*uncertain):
    return replace(PREDICTION, uncertain=np.array(uncertain))


def finding(name, score, probability, operating_point, present):
    return {
        "finding": name,
        "score": score,
        "probability": probability,
        "operating_point": operating_point,
        "present": present,
        "uncertain": False,
        "confounded": False,
    }


def test_the_answer_has_the_shape_of_the_interface(real):
    written = answer(real, age_years=40.0).model_dump(exclude_none=True)  # as it is sent
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", written.pop("id"))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", written["provenance"].pop("preprocessing"))
    assert written == {
        "model": {"name": "pneumonia", "version": "3", "digest": "sha256:" + "a" * 64},
        "findings": [
            finding("Normal", 0.1, 0.125, 0.2, present=False),
            finding("Bacterial Pneumonia", 0.6, 0.5, 0.3, present=True),
            finding("Viral Pneumonia", 0.3, 0.375, 0.4, present=False),
        ],
        "decision": {"abstain": False, "reasons": []},
        "gates": {"chest_radiograph": 0.99, "in_distribution": 0.8, "age_group": "adult"},
        "provenance": {
            "commit": "0" * 40,
            "data": "sha256:" + "0" * 64,
            "engine": "openvino",
            "sources": ["kermany"],
        },
        "notice": "Research use. Not for diagnosis.",
    }


def test_the_answer_says_which_preprocessing_the_weights_saw(bundle):
    assert answer(bundle).provenance.preprocessing == bundle.manifest.preprocessing.digest()


def test_a_model_trained_on_drawings_abstains_and_says_why(bundle):
    said = answer(bundle)
    assert said.decision.abstain is True
    assert said.decision.reasons == [DRAWN]
    assert said.notice == f"Research use. Not for diagnosis. {DRAWN}"
    assert len(said.findings) == 3


@pytest.mark.parametrize("value", [0.0, 0.49])
def test_what_is_no_chest_is_refused_with_the_gate_and_its_value(bundle, value):
    with pytest.raises(NoChestError) as refused:
        answer(bundle, replace(PREDICTION, gates=GateValues(value, 0.8)))
    assert refused.value.values == {"value": value, "needed": 0.5}
    assert f"chest_radiograph is {value:.2f}, needed is 0.50" in str(refused.value)


def test_what_just_passes_the_gates_is_answered_without_a_word(real):
    said = answer(real, replace(PREDICTION, gates=GateValues(0.5, 0.01)))
    assert (said.gates.chest_radiograph, said.gates.in_distribution) == (0.5, 0.01)
    assert said.decision.model_dump() == {"abstain": False, "reasons": []}


def test_a_radiograph_unlike_those_of_training_is_abstained_from(real):
    said = answer(real, replace(PREDICTION, gates=GateValues(0.99, 0.0042)))
    assert said.decision.model_dump() == {
        "abstain": True,
        "reasons": [
            "The radiograph is unlike those the model was trained on: in_distribution is 0.004, needed is 0.01."
        ],
    }
    assert len(said.findings) == 3


@pytest.mark.parametrize(
    ("age_years", "group"),
    [(None, "unknown"), (0.0, "child"), (17.99, "child"), (18.0, "adult"), (90.0, "adult")],
)
def test_the_age_group_follows_from_the_tags(bundle, age_years, group):
    assert answer(bundle, age_years=age_years).gates.age_group == group


@pytest.mark.parametrize(
    ("age_group", "age_years", "whom"),
    [("child", 45.0, "children under 18 years"), ("adult", 4.0, "adults from 18 years on")],
)
def test_a_patient_of_the_other_age_group_gets_no_findings(real, age_group, age_years, whom):
    confounded_and_unsure = changed(real, age_group=age_group, confounded=("Normal",)), unsure(True, True, False)
    said = answer(*confounded_and_unsure, age_years=age_years)
    assert said.findings == []
    assert said.decision.model_dump() == {
        "abstain": True,
        "reasons": [f"The model answers about {whom} only, and this patient's age is another."],
    }


@pytest.mark.parametrize(("age_group", "age_years"), [("child", 4.0), ("adult", 45.0), ("any", 4.0), ("any", None)])
def test_a_patient_of_the_models_age_group_is_answered_without_a_word(real, age_group, age_years):
    said = answer(changed(real, age_group=age_group), age_years=age_years)
    assert len(said.findings) == 3
    assert said.decision.reasons == []


@pytest.mark.parametrize(
    ("age_group", "whom"), [("child", "children under 18 years"), ("adult", "adults from 18 years on")]
)
def test_an_unknown_age_is_warned_of_but_answered(real, age_group, whom):
    said = answer(changed(real, age_group=age_group))
    assert len(said.findings) == 3
    assert said.decision.model_dump() == {
        "abstain": False,
        "reasons": [f"The model was trained on {whom} only, and this patient's age is not known."],
    }


def test_classes_that_cannot_be_told_apart_are_named_and_abstained_from(real):
    said = answer(real, unsure(False, True, True))
    assert [one.uncertain for one in said.findings] == [False, True, True]
    assert said.decision.model_dump() == {
        "abstain": True,
        "reasons": ["Bacterial Pneumonia and Viral Pneumonia cannot be told apart at a risk of 10 %."],
    }


def test_classes_of_which_none_is_likely_enough_are_abstained_from(real):
    said = answer(real, unsure(False, True, False))
    assert said.decision.model_dump() == {
        "abstain": True,
        "reasons": ["None of Normal, Bacterial Pneumonia and Viral Pneumonia is likely enough at a risk of 10 %."],
    }


def test_an_uncertain_finding_that_stands_by_itself_is_marked_and_no_reason_to_abstain(real):
    heads = (Head(name="each", kind="multilabel", findings=("Effusion", "Mass", "Nodule")),)
    said = answer(changed(real, task="thoracic", heads=heads), unsure(True, False, True))
    assert [(one.finding, one.uncertain) for one in said.findings] == [
        ("Effusion", True),
        ("Mass", False),
        ("Nodule", True),
    ]
    assert said.decision.model_dump() == {"abstain": False, "reasons": []}


def test_confounded_findings_are_marked_and_named_but_no_reason_to_abstain(real):
    said = answer(changed(real, confounded=("Normal", "Viral Pneumonia")))
    assert [one.confounded for one in said.findings] == [True, False, True]
    assert said.decision.model_dump() == {
        "abstain": False,
        "reasons": [
            "How or where an image was made tells nearly as much as the model about Normal and Viral Pneumonia."
        ],
    }


def test_every_reason_is_given_and_those_against_an_answer_first(bundle):
    of_children = changed(bundle, age_group="child", confounded=("Normal",))
    said = answer(of_children, replace(unsure(True, True, True), gates=GateValues(0.99, 0.0)))
    assert [reason.split(" ")[:3] for reason in said.decision.reasons] == [
        ["This", "model", "was"],
        ["The", "radiograph", "is"],
        ["Normal,", "Bacterial", "Pneumonia"],
        ["The", "model", "was"],
        ["How", "or", "where"],
    ]


def test_each_answer_has_an_id_of_its_own(bundle):
    assert answer(bundle).id != answer(bundle).id


def test_an_answer_survives_its_way_through_json(bundle):
    said = answer(bundle, age_years=4.0)
    assert PredictionResponse.model_validate_json(said.model_dump_json()) == said
