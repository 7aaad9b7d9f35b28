"""`thorax registry` on a real SQLite registry."""

import json
import shutil

import pytest

from models.registry import Registry
from tests.conftest import free_port

# A small metrics.json of the evaluate stage: figures of all images, of subgroups, and one that is not defined.
EVALUATION = {
    "test": {
        "overall": {"accuracy": {"value": 0.75, "low": 0.5, "high": 1.0}, "log_loss": {"value": None}},
        "by_sex": {"F": {"accuracy": {"value": 0.25}}},
    }
}


@pytest.fixture
def project(tmp_path, bundle_folder):
    """A folder as `dvc repro` leaves it."""
    shutil.copytree(bundle_folder, tmp_path / "data/bundles/pneumonia")
    metrics = tmp_path / "data/evaluation/pneumonia/metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text(json.dumps(EVALUATION))
    return tmp_path


def test_a_bundle_is_registered_as_candidate_shown_and_promoted(thorax, project, bundle):
    registered = thorax("registry", "register", "pneumonia").out
    assert registered == f"pneumonia\t1\tcandidate\t{bundle.digest}\n"
    promoted = thorax("registry", "promote", "pneumonia").out
    assert promoted == f"pneumonia\t1\tcandidate, production\t{bundle.digest}\n"
    assert thorax("registry", "list").out == promoted
    shown = thorax("registry", "show", "pneumonia")
    assert thorax("registry", "show", "pneumonia", "1") == shown
    assert json.loads(shown.out) == {
        "name": "pneumonia",
        "version": "1",
        "aliases": ["candidate", "production"],
        "digest": bundle.digest,
        "commit": "0" * 40,
        "metrics": {
            "test/overall/accuracy/value": 0.75,
            "test/overall/accuracy/low": 0.5,
            "test/overall/accuracy/high": 1.0,
        },
    }


def test_registering_the_same_bundle_again_makes_no_new_version(thorax, project):
    first = thorax("registry", "register", "pneumonia")
    assert first.out.startswith("pneumonia\t1\t")
    assert thorax("registry", "register", "pneumonia") == first


def test_a_version_can_be_promoted_to_an_alias_of_any_name(thorax, project):
    thorax("registry", "register", "pneumonia")
    promoted = thorax("registry", "promote", "pneumonia", "1", "--to", "shadow").out
    assert promoted.startswith("pneumonia\t1\tcandidate, shadow\t")


def test_predict_finds_the_model_in_the_registry_by_alias_version_or_name(
    thorax, production, registry_folder, chest_dicom
):
    for model in ("pneumonia", "pneumonia@production", "pneumonia@1"):
        done = thorax("predict", chest_dicom, "--model", model, "--json", registry_folder=registry_folder)
        assert json.loads(done.out)["model"] == {
            "name": "pneumonia",
            "version": production.version,
            "digest": production.digest,
        }


def test_without_figures_nothing_is_registered(thorax, project):
    (project / "data/evaluation/pneumonia/metrics.json").unlink()
    refused = thorax("registry", "register", "pneumonia")
    assert refused.code == 1
    (sentence,) = refused.err.splitlines()
    assert sentence.startswith("Expected the figures of the evaluate stage in data/evaluation/pneumonia/metrics.json")
    assert sentence.endswith("Run: dvc repro")
    assert thorax("registry", "list").out == ""


def test_a_changed_bundle_is_not_registered(thorax, project):
    (project / "data/bundles/pneumonia/MODEL_CARD.md").write_text("Fit for diagnosis.")
    refused = thorax("registry", "register", "pneumonia")
    assert refused.code == 1
    assert "MODEL_CARD.md: expected sha256:" in refused.err
    assert thorax("registry", "list").out == ""


@pytest.mark.parametrize(
    "words",
    [
        ("show", "pneumonia", "staging"),
        ("promote", "pneumonia", "staging"),
    ],
)
def test_an_unknown_alias_is_refused_with_those_that_are_known(thorax, production, registry_folder, words):
    refused = thorax("registry", *words, registry_folder=registry_folder)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "The registry holds no pneumonia@staging; it holds: pneumonia@1, pneumonia@production.\n"


def test_an_unknown_model_is_refused(thorax, production, registry_folder):
    refused = thorax("registry", "show", "dermatology", registry_folder=registry_folder)
    assert refused.code == 1
    assert refused.err == "The registry holds no dermatology@production; it holds: nothing of that name.\n"


def test_an_unknown_task_is_a_bad_argument(thorax):
    refused = thorax("registry", "register", "dermatology")
    assert (refused.code, refused.err) == (2, "Unknown task 'dermatology'; known are: pneumonia, thoracic.\n")


def test_what_was_registered_is_there_for_other_programs(thorax, project, bundle):
    thorax("registry", "register", "pneumonia")
    registry = Registry(f"sqlite:///{project / 'data/registry/mlflow.db'}", project / "data/registry")
    assert registry.resolve("pneumonia", "candidate").digest == bundle.digest


@pytest.mark.parametrize("words", [("registry", "list"), ("registry", "show", "pneumonia"), ("predict", "chest.dcm")])
def test_a_registry_that_does_not_answer_is_one_sentence(thorax, words):
    address = f"http://127.0.0.1:{free_port()}"
    refused = thorax(*words, registry_uri=address)
    assert (refused.code, refused.out) == (1, "")
    (sentence,) = refused.err.splitlines()
    assert sentence.startswith(f"The model registry {address} cannot be reached: ")
    assert sentence.endswith("Check THORAX_REGISTRY_URI and that it runs.")
