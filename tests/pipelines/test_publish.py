"""Only what may be given to others comes into data/released, and it comes whole."""

import json
import shutil

import pytest

from models.bundle import Terms, load_bundle
from models.bundle_writing import write_bundle
from models.errors import BundleError, BundleFormatError, DataError, LicenceError, SettingsError
from pipelines import publish as module
from pipelines.publish import publish
from tests.models.test_card import FIGURES
from tests.pipelines.bundles import export_small
from tests.pipelines.conftest import ROOT

CARDS = ROOT / "data/sources"
AUDIT = {"images": 12, "official_leaks": 0}


@pytest.fixture(scope="module")
def small(tmp_path_factory, manifest):
    """A folder with a small network, and its manifest."""
    folder = tmp_path_factory.mktemp("small")
    return folder, export_small(manifest, folder)


@pytest.fixture
def checkout(tmp_path, small):
    """Another checkout, whose `dvc repro` has run; its models say of themselves what a test wants."""

    exported, manifest = small

    def write(*models, drawn=False, shareable=True):
        root = tmp_path / "checkout"
        root.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
        for model in models:
            changed = manifest.model_copy(
                update={
                    "name": model,
                    "training": manifest.training.model_copy(update={"drawn": drawn}),
                    "terms": Terms(shareable=shareable, by_source={"kermany": "Not without asking."}),
                }
            )
            write_bundle(root / "data/bundles" / model, exported, changed, "# As it was released there\n")
            (root / "data/evaluation" / model).mkdir(parents=True)
            (root / "data/evaluation" / model / "metrics.json").write_text(json.dumps(FIGURES))
        (root / "data/audit").mkdir(parents=True, exist_ok=True)
        (root / "data/audit/summary.json").write_text(json.dumps(AUDIT))
        return root

    return write


def test_bundle_figures_and_parameters_come_together(checkout, tmp_path):
    root, released = checkout("pneumonia", "thoracic"), tmp_path / "released"
    for model in ("pneumonia", "thoracic"):
        written = publish(model, root, CARDS, released)
        bundle = load_bundle(released / model)
        assert bundle.manifest == written
        assert bundle.manifest.name == model
        assert json.loads((released / f"{model}.metrics.json").read_text()) == FIGURES
    assert json.loads((released / "audit.json").read_text()) == AUDIT
    assert (released / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert sorted(path.name for path in released.iterdir()) == [
        "audit.json",
        "params.yaml",
        "pneumonia",
        "pneumonia.metrics.json",
        "thoracic",
        "thoracic.metrics.json",
    ]


def test_the_network_is_the_same_and_the_card_names_the_one_command(checkout, tmp_path):
    root = checkout("pneumonia")
    written = publish("pneumonia", root, CARDS, tmp_path / "released")
    there = load_bundle(root / "data/bundles/pneumonia").manifest
    assert written.model_dump(exclude={"files"}) == there.model_dump(exclude={"files"})
    assert written.files["model.onnx"] == there.files["model.onnx"]
    assert "`make released`" in (tmp_path / "released/pneumonia/MODEL_CARD.md").read_text()


def test_a_newer_bundle_replaces_the_one_that_is_there(checkout, tmp_path):
    root = checkout("pneumonia")
    for _ in range(2):
        publish("pneumonia", root, CARDS, tmp_path / "released")
    assert len(list((tmp_path / "released").iterdir())) == 4


def refused(error, words, root, tmp_path, model="pneumonia"):
    with pytest.raises(error, match=words) as caught:
        publish(model, root, CARDS, tmp_path / "released")
    assert not (tmp_path / "released" / model).exists()
    return caught.value


def test_weights_that_a_source_does_not_let_go_stay_where_they_are(checkout, tmp_path):
    root = checkout("pneumonia", shareable=False)
    error = refused(LicenceError, "its terms are: kermany: Not without asking. Train without", root, tmp_path)
    assert error.values["path"] == root / "data/bundles/pneumonia"


def test_a_model_of_drawings_is_not_for_real_radiographs(checkout, tmp_path):
    refused(BundleError, "but it was trained on drawings", checkout("pneumonia", drawn=True), tmp_path)


def test_bundles_that_are_too_large_together_are_refused_with_their_sizes(checkout, tmp_path, monkeypatch):
    root = checkout("pneumonia", "thoracic")
    size = sum(path.stat().st_size for path in (root / "data/bundles/pneumonia").iterdir())
    monkeypatch.setattr(module, "MOST_BYTES", int(1.5 * size))
    publish("pneumonia", root, CARDS, tmp_path / "released")
    publish("pneumonia", root, CARDS, tmp_path / "released")  # it takes its own place
    words = rf"thoracic with {size / 1e6:.1f} MB, .*pneumonia with {size / 1e6:.1f} MB\. Set compact"
    refused(BundleError, words, root, tmp_path, "thoracic")


def test_what_was_never_released_there_is_named(checkout, tmp_path):
    refused(BundleFormatError, "thoracic", checkout("pneumonia"), tmp_path, "thoracic")


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("data/audit/summary.json", DataError),
        ("data/evaluation/pneumonia/metrics.json", DataError),
        ("params.yaml", SettingsError),
    ],
)
def test_without_figures_or_parameters_nothing_is_copied(checkout, tmp_path, file, error):
    root = checkout("pneumonia")
    (root / file).unlink()
    refused(error, str(root / file), root, tmp_path)
    assert not (tmp_path / "released").exists()
