"""Each gate passes what it should, fails what it should, and says what it found."""

import pandas as pd
import pytest

from models.bundle import load_bundle
from models.bundle_writing import write_bundle
from models.errors import DataError
from pipelines.params import Promote
from pipelines.promotion import golden_predictions, judge, table
from tests.conftest import CARD

SETTINGS = Promote(margin=0.05, margins={"Mass": 0.2}, min_positives=10, ece=0.1, accept_confounded=["Effusion"])
AUDIT = {"images": 4, "groups": 3, "official_leaks": 0, "shortcut_warnings": 1}


def metrics(**eces):
    """Figures of findings with 12 positives and a calibration error each."""
    findings = {
        name: {"positives": 12, "ece": {"value": value, "low": low, "high": 1.0}} for name, (value, low) in eces.items()
    }
    return {"test": {"overall": {"findings": findings}}, "sanity": {"correlation": 0.1, "passes": True}}


@pytest.fixture(scope="module")
def golden(bundle):
    return golden_predictions(bundle)


@pytest.fixture
def judged(bundle, golden):
    """What the gate of a name says, with something else than usual."""

    def ask(gate, of=bundle, compared=None, in_production=(), **evidence):
        known = {"metrics": metrics(Normal=(0.05, 0.0)), "audit": AUDIT, "golden": golden} | evidence
        (result,) = [one for one in judge(of, known, compared, in_production, SETTINGS) if one.gate == gate]
        return result

    return ask


def rows(*of_findings):
    columns = ("finding", "positives", "difference", "low", "high")
    return lambda: pd.DataFrame([dict(zip(columns, row, strict=True)) for row in of_findings])


def test_a_good_version_passes_every_gate(bundle, golden):
    evidence = {"metrics": metrics(Normal=(0.05, 0.0)), "audit": AUDIT, "golden": golden}
    results = judge(bundle, evidence, None, (), SETTINGS)
    assert [result.gate for result in results if not result.passes] == []
    assert len(results) == 8
    assert all(line.startswith("pass  ") for line in table(results).splitlines())


def test_a_version_without_any_evidence_fails_what_needs_it(bundle):
    failed = {result.gate for result in judge(bundle, {}, None, (), SETTINGS) if not result.passes}
    assert failed == {"calibration", "parity", "golden predictions", "heat maps", "audit"}


@pytest.mark.parametrize(
    ("of_findings", "passes", "said"),
    [
        ([("Effusion", 30, 0.01, -0.049, 0.07)], True, "1 findings judged; worst Effusion +0.010 [-0.049, +0.070]"),
        ([("Effusion", 30, 0.01, -0.051, 0.07)], False, "may lose too much: Effusion +0.010 [-0.051, +0.070]"),
        ([("Mass", 30, -0.1, -0.19, 0.0)], True, "worst Mass -0.100"),
        ([("Mass", 30, -0.1, -0.21, 0.0)], False, "may lose too much: Mass"),
        (
            [("Effusion", 30, 0.01, 0.0, 0.02), ("Edema", 9, -0.5, -0.9, 0.1)],
            True,
            "1 findings judged; 1 with fewer than 10 positives not judged",
        ),
        ([("Edema", 9, 0.5, 0.4, 0.6)], False, "no finding can be judged"),
        ([("Edema", 12, float("nan"), float("nan"), float("nan"))], False, "no finding can be judged"),
    ],
)
def test_no_finding_may_lose_more_than_its_margin(judged, of_findings, passes, said):
    result = judged("non-inferiority", compared=rows(*of_findings))
    assert (result.passes, said in result.found) == (passes, True), result.found


def test_what_cannot_be_compared_does_not_pass(judged):
    def compared():
        raise DataError(reason="Expected the split, but there is none. Run: dvc repro")

    result = judged("non-inferiority", compared=compared)
    assert not result.passes
    assert result.found == "not measured: Expected the split, but there is none. Run: dvc repro"


@pytest.mark.parametrize(
    ("eces", "passes"),
    [
        ({"Normal": (0.09, 0.05)}, True),
        ({"Normal": (0.2, 0.09)}, True),  # not shown to be too large
        ({"Normal": (0.05, 0.0), "Viral Pneumonia": (0.2, 0.11)}, False),
        ({}, False),
    ],
)
def test_a_version_must_not_be_shown_to_be_badly_calibrated(judged, eces, passes):
    assert judged("calibration", metrics=metrics(**eces)).passes is passes


def test_a_finding_with_few_positives_is_not_judged_for_calibration(judged):
    figures = metrics(Normal=(0.05, 0.0), Edema=(0.9, 0.8))
    figures["test"]["overall"]["findings"]["Edema"]["positives"] = 9
    assert judged("calibration", metrics=figures).passes


def test_other_scores_than_at_registration_do_not_pass(judged, golden):
    changed = [one | {"scores": [score + 0.01 for score in one["scores"]]} for one in golden]
    result = judged("golden predictions", golden=changed)
    assert not result.passes
    assert "differ by at most 1.0e-02" in result.found


def test_a_graph_of_another_network_does_not_pass(judged, bundle_folder, exported, manifest, tmp_path):
    import keras

    folder = tmp_path / "exported"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    network = keras.saving.load_model(folder / "model.keras")
    network.weights[0].assign(network.weights[0] * 1.5)
    network.save(folder / "model.keras")
    write_bundle(tmp_path / "other", folder, manifest, CARD)
    result = judged("parity", of=load_bundle(tmp_path / "other"))
    assert not result.passes
    assert "to equal Keras within" in result.found


@pytest.fixture
def confounded(tmp_path, exported, manifest):
    def of(*findings):
        write_bundle(tmp_path / "confounded", exported, manifest.model_copy(update={"confounded": findings}), CARD)
        return load_bundle(tmp_path / "confounded")

    return of


def test_a_new_shortcut_does_not_pass_and_an_accepted_one_does(judged, confounded):
    result = judged("shortcuts", of=confounded("Normal"))
    assert (result.passes, result.found) == (False, "confounded: Normal; not accepted: Normal")
    assert judged("shortcuts", of=confounded("Normal"), in_production=("Normal",)).passes
    assert judged("shortcuts", of=confounded("Effusion")).passes
    assert judged("shortcuts", of=confounded()).found == "confounded: none"


def test_weights_of_a_source_without_known_terms_do_not_pass(judged, exported, manifest, tmp_path):
    training = manifest.training.model_copy(update={"sources": ("synthetic", "found_on_the_web")})
    write_bundle(tmp_path / "other", exported, manifest.model_copy(update={"training": training}), CARD)
    result = judged("licences", of=load_bundle(tmp_path / "other"))
    assert (result.passes, result.found) == (False, "no terms of found_on_the_web")


def test_maps_that_do_not_change_and_data_that_leak_do_not_pass(judged):
    insane = metrics(Normal=(0.05, 0.0)) | {"sanity": {"correlation": 0.9, "passes": False}}
    assert not judged("heat maps", metrics=insane).passes
    assert not judged("audit", audit=AUDIT | {"official_leaks": 1}).passes
