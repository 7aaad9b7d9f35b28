"""A release is the trained network with the card of its figures, and with what its sources' cards say."""

import json

import pytest

from models.bundle import Terms, load_bundle, read_manifest
from models.bundle_writing import write_bundle
from models.errors import BundleDigestError, BundleError, DataError, SettingsError
from pipelines.release import main, release
from tests.models.test_card import FIGURES
from tests.pipelines.bundles import export_small
from tests.pipelines.conftest import ROOT

CARDS = ROOT / "data/sources"


@pytest.fixture(scope="module")
def small(tmp_path_factory, manifest):
    """A folder with a small network, and its manifest."""
    folder = tmp_path_factory.mktemp("small")
    return folder, export_small(manifest, folder)


@pytest.fixture
def trained(tmp_path, small):
    """A bundle of two real sources, as training leaves it."""

    exported, manifest = small

    def write(*sources, **changes):
        training = manifest.training.model_copy(update={"sources": sources, "drawn": False})
        terms = Terms(shareable=True, by_source=dict.fromkeys(sources, "of old"))
        folder = tmp_path / "trained"
        write_bundle(folder, exported, manifest.model_copy(update={"training": training, "terms": terms} | changes), "")
        return folder

    return write


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(FIGURES))
    return path


def released(trained, metrics, tmp_path):
    release("pneumonia", trained, metrics, CARDS, tmp_path / "bundles/pneumonia")
    return load_bundle(tmp_path / "bundles/pneumonia")


def test_the_network_and_its_thresholds_stay(trained, metrics, tmp_path):
    before, _ = read_manifest(trained("kermany"))
    after = released(tmp_path / "trained", metrics, tmp_path).manifest
    for name in ("model.keras", "model.onnx", "gates.npz"):
        assert after.files[name] == before.files[name]
    kept = before.model_dump(exclude={"files", "confounded", "age_group", "terms"})
    assert after.model_dump(exclude={"files", "confounded", "age_group", "terms"}) == kept


def test_findings_that_probes_tell_as_well_are_confounded(trained, metrics, tmp_path):
    assert released(trained("kermany"), metrics, tmp_path).manifest.confounded == ("Normal",)


def test_where_nothing_was_probed_nothing_is_known_to_be_confounded(trained, metrics, tmp_path):
    metrics.write_text("{}")
    bundle = released(trained("kermany"), metrics, tmp_path)
    assert bundle.manifest.confounded == ()
    assert "It was not measured yet." in (bundle.path / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("sources", "age_group", "shareable"),
    [
        (("kermany",), "child", True),
        (("kermany", "shenzhen"), "any", True),
        (("nih_chestxray14", "shenzhen"), "any", True),
        (("kermany", "covid_chestxray"), "any", False),
    ],
)
def test_age_group_and_terms_are_those_of_the_sources_cards(trained, metrics, tmp_path, sources, age_group, shareable):
    manifest = released(trained(*sources), metrics, tmp_path).manifest
    assert manifest.age_group == age_group
    assert manifest.terms.shareable is shareable
    assert set(manifest.terms.by_source) == set(sources)
    assert "of old" not in manifest.terms.by_source.values()


def test_the_sources_of_what_the_weights_began_with_have_their_say(trained, small, metrics, tmp_path):
    exported, manifest = small
    elder = Terms(shareable=False, by_source={"covid_chestxray": "of old"})
    write_bundle(tmp_path / "elder", exported, manifest.model_copy(update={"terms": elder}), "")
    training = manifest.training.model_copy(
        update={"sources": ("kermany",), "parameters": {"weights": str(tmp_path / "elder")}}
    )
    bundle = released(trained("kermany", training=training), metrics, tmp_path)
    assert list(bundle.manifest.terms.by_source) == ["kermany", "covid_chestxray"]
    assert not bundle.manifest.terms.shareable
    assert bundle.manifest.age_group == "child"  # of those whom it was last trained on
    assert "Cohen JP, Morrison P, Dao L" in (bundle.path / "MODEL_CARD.md").read_text()


def test_the_card_holds_figures_sources_and_the_command(trained, metrics, tmp_path):
    card = (released(trained("kermany"), metrics, tmp_path).path / "MODEL_CARD.md").read_text()
    assert "| Normal | 0.200 | 40 | 0.991 [0.980, 1.000] |" in card
    assert "confounded |" in card
    assert "Children of 1 to 5 years, Guangzhou" in card
    assert "CC BY 4.0" in card
    assert "`dvc repro release@pneumonia`" in card


def test_the_stage_takes_its_paths_in_the_order_of_dvc_yaml(trained, metrics, tmp_path):
    main("pneumonia", str(trained("kermany")), str(metrics), str(CARDS), str(tmp_path / "out"))
    assert load_bundle(tmp_path / "out").manifest.name == "pneumonia"


def test_a_bundle_of_another_model_is_refused(trained, metrics, tmp_path):
    with pytest.raises(BundleError, match="expected a bundle of the model thoracic, but received one of pneumonia"):
        release("thoracic", trained("kermany"), metrics, CARDS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_bundle_is_refused(trained, metrics, tmp_path):
    folder = trained("kermany")
    (folder / "model.onnx").write_bytes(b"changed")
    with pytest.raises(BundleDigestError):
        release("pneumonia", folder, metrics, CARDS, tmp_path / "out")


@pytest.mark.parametrize("content", [None, "", "[]", '{"test": '])
def test_figures_that_cannot_be_read_are_named(trained, metrics, tmp_path, content):
    metrics.unlink() if content is None else metrics.write_text(content)
    with pytest.raises(DataError, match=r"Expected figures in .*metrics\.json.* Run: dvc repro evaluate"):
        release("pneumonia", trained("kermany"), metrics, CARDS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_figures_of_other_findings_are_refused(trained, metrics, tmp_path):
    metrics.write_text(json.dumps(FIGURES | {"probes": {"Hernia": FIGURES["probes"]["Normal"]}}))
    with pytest.raises(DataError, match="Expected figures of Normal, Bacterial Pneumonia, Viral Pneumonia"):
        release("pneumonia", trained("kermany"), metrics, CARDS, tmp_path / "out")


def test_a_source_without_a_card_is_named(trained, metrics, tmp_path):
    with pytest.raises(SettingsError, match="unheard_of"):
        release("pneumonia", trained("unheard_of"), metrics, CARDS, tmp_path / "out")
