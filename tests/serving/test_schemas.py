"""The answer, as the interface describes it."""

import re

import numpy as np
import pytest

from models.bundle import Prediction, load_bundle
from models.bundle_writing import write_bundle
from models.radiograph import RadiographTags
from serving.schemas import ModelName, PredictionResponse, prediction_response

MODEL = ModelName(name="pneumonia", version="3", digest="sha256:" + "a" * 64)
PREDICTION = Prediction(
    logits=np.log([0.1, 0.6, 0.3]),
    scores=np.array([0.1, 0.6, 0.3]),
    probabilities=np.array([0.125, 0.5, 0.375]),
    present=np.array([False, True, False]),
    embedding=np.zeros(4),
)
DRAWN = "This model was trained on drawings: its scores on a real radiograph mean nothing."


def answer(bundle, **tags):
    return prediction_response(bundle, MODEL, PREDICTION, RadiographTags(**tags))


def finding(name, score, probability, operating_point, present):
    return {
        "finding": name,
        "score": score,
        "probability": probability,
        "operating_point": operating_point,
        "present": present,
    }


@pytest.fixture(scope="module")
def trained_on_real_ones(tmp_path_factory, exported, manifest):
    training = manifest.training.model_copy(update={"drawn": False, "sources": ("kermany",)})
    folder = tmp_path_factory.mktemp("real") / "pneumonia"
    write_bundle(folder, exported, manifest.model_copy(update={"training": training}))
    return load_bundle(folder)


def test_the_answer_has_the_shape_of_the_interface(trained_on_real_ones):
    written = answer(trained_on_real_ones, age_years=40.0).model_dump()
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
        "gates": {"chest_radiograph": None, "in_distribution": None, "age_group": "adult"},
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


@pytest.mark.parametrize(
    ("age_years", "group"),
    [(None, "unknown"), (0.0, "child"), (17.99, "child"), (18.0, "adult"), (90.0, "adult")],
)
def test_the_age_group_follows_from_the_tags(bundle, age_years, group):
    assert answer(bundle, age_years=age_years).gates.age_group == group


def test_each_answer_has_an_id_of_its_own(bundle):
    assert answer(bundle).id != answer(bundle).id


def test_an_answer_survives_its_way_through_json(bundle):
    said = answer(bundle, age_years=4.0)
    assert PredictionResponse.model_validate_json(said.model_dump_json()) == said
