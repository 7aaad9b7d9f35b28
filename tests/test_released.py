"""The bundles that come with the project are whole, may be given to others, and answer a real radiograph."""

import json
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from models.bundle import load_bundle
from models.card import DRAWN_NOTICE, NOTICE
from models.gates import CHEST_RADIOGRAPH_FROM, IN_DISTRIBUTION_FROM
from models.reading import read_radiograph_file
from pipelines.params import load_params
from pipelines.publish import MOST_BYTES
from serving.answering import prediction_response
from serving.loading import EXAMPLES
from serving.schemas import ModelName

RELEASED = Path(__file__).parents[1] / "data/released"
MODELS = ("pneumonia", "thoracic")


@pytest.fixture(scope="module", params=MODELS)
def bundle(request):
    """Each of them, every file's hash checked."""
    return load_bundle(RELEASED / request.param)


def gates(bundle, name):
    (prediction,) = bundle.predict([read_radiograph_file(get_testdata_file(name, download=False))])
    return prediction.gates


def test_nothing_else_is_released_and_all_of_it_is_small():
    assert {path.name for path in RELEASED.iterdir() if path.is_dir()} == set(MODELS)
    files = [path for path in RELEASED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES == 25_000_000


def test_its_weights_may_be_given_to_others_and_come_from_radiographs(bundle):
    assert bundle.manifest.terms.shareable
    assert set(bundle.manifest.training.sources) <= set(bundle.manifest.terms.by_source)
    assert not bundle.manifest.training.drawn
    # Images that may not be used commercially, or whose licence nobody knows, are among these.
    assert "covid_chestxray" not in bundle.manifest.terms.by_source


def test_its_card_has_its_figures_and_the_command_that_makes_it_again(bundle):
    card = (bundle.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert NOTICE in card
    assert DRAWN_NOTICE not in card
    assert "not measured yet" not in card
    assert "`make released`" in card
    for finding in bundle.manifest.findings:
        assert f"| {finding} | " in card


def test_its_parameters_are_those_that_stand_beside_it(bundle):
    trained = load_params(RELEASED / "params.yaml").model(bundle.manifest.name)
    assert bundle.manifest.training.parameters == trained.model_dump()


def test_its_figures_stand_beside_it_without_any_picture(bundle):
    text = (RELEASED / f"{bundle.manifest.name}.metrics.json").read_text(encoding="utf-8")
    figures = json.loads(text)
    assert set(figures["test"]["overall"]["findings"]) == set(bundle.manifest.findings)
    assert figures["sanity"]["passes"]
    assert "examples" not in figures["heat_maps"]


def test_a_real_chest_passes_its_gates(bundle):
    found = gates(bundle, "RG1_UNCR.dcm")
    assert found.chest_radiograph >= CHEST_RADIOGRAPH_FROM
    assert found.in_distribution >= IN_DISTRIBUTION_FROM


def test_a_real_limb_does_not(bundle):
    assert gates(bundle, "RG3_UNCR.dcm").chest_radiograph < CHEST_RADIOGRAPH_FROM


def test_what_is_said_of_a_finding_follows_from_its_two_thresholds():
    thoracic = load_bundle(RELEASED / "thoracic")
    files = [get_testdata_file("RG1_UNCR.dcm", download=False), *sorted(EXAMPLES.glob("*.png"))]
    radiographs = [read_radiograph_file(file) for file in files]
    name = ModelName(name="thoracic", version="1", digest=thoracic.digest)
    said = [
        one
        for radiograph, prediction in zip(radiographs, thoracic.predict(radiographs), strict=True)
        for one in prediction_response(thoracic, name, prediction, radiograph.tags).findings
    ]
    assert len({(one.present, one.uncertain) for one in said}) == 3  # present, uncertain and absent are all among them
    for one in said:
        assert one.present == (one.probability >= one.operating_probability)
        assert (not one.present and not one.uncertain) == (one.score < one.absent_below)


def test_classes_have_no_thresholds_of_their_own_beside_the_operating_point():
    pneumonia = load_bundle(RELEASED / "pneumonia")
    assert pneumonia.operating_probabilities == (None, None, None)
