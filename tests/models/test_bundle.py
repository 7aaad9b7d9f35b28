"""A bundle scores as its network does, and is loaded whole and unchanged or not at all."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
from scipy.special import softmax

from models.bundle import FILES, GRAPH, load_bundle, read_manifest
from models.bundle_writing import write_bundle
from models.engine import ENGINES
from models.errors import BundleDigestError, BundleFormatError, OutputError, UnknownNameError
from models.radiograph import Radiograph
from tests.conftest import CARD
from tests.serving.networks import overflowing


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def assert_same(predictions, others, tolerance):
    assert len(predictions) == len(others)
    for prediction, other in zip(predictions, others, strict=True):
        for name in ("logits", "scores", "probabilities", "embedding", "maps", "gates"):
            np.testing.assert_allclose(getattr(prediction, name), getattr(other, name), atol=tolerance)
        assert prediction.present.tolist() == other.present.tolist()
        assert prediction.uncertain.tolist() == other.uncertain.tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loaded_bundle_scores_as_the_network_did(engine, small_bundle, small_network, radiographs):
    bundle = load_bundle(small_bundle, engine=engine)
    expected = small_network(np.stack([bundle.preprocess(one) for one in radiographs]), training=False)
    names = ("logits", "scores", "embedding", "maps")
    logits, scores, embedding, maps = (np.asarray(expected[name]) for name in names)
    for index, prediction in enumerate(bundle.predict(radiographs)):
        np.testing.assert_allclose(prediction.logits, logits[index], atol=1e-4)
        np.testing.assert_allclose(prediction.scores, scores[index], atol=1e-4)
        np.testing.assert_allclose(prediction.embedding, embedding[index], atol=1e-4)
        np.testing.assert_allclose(prediction.maps, maps[index], atol=1e-4)
        assert prediction.gates == (1.0, 1.0)
        # the bundle's one temperature is 1.5, its operating points are 0.2, 0.3 and 0.4
        np.testing.assert_allclose(prediction.probabilities, softmax(logits[index] / 1.5), atol=1e-4)
        assert prediction.present.tolist() == (scores[index] >= [0.2, 0.3, 0.4]).tolist()
        assert prediction.probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_equals_its_radiographs_one_by_one(engine, bundle_folder, radiographs):
    bundle = load_bundle(bundle_folder, engine=engine, threads=1)
    assert_same(bundle.predict(radiographs), [bundle.predict([one])[0] for one in radiographs], 1e-6)


def test_predict_is_preprocess_then_score(bundle, radiographs):
    assert_same(bundle.predict(radiographs), bundle.score([bundle.preprocess(one) for one in radiographs]), 0)


def test_loading_twice_scores_equally(small_bundle, radiographs):
    assert_same(load_bundle(small_bundle).predict(radiographs), load_bundle(small_bundle).predict(radiographs), 0)


def test_no_radiographs_have_no_predictions(bundle):
    assert bundle.predict([]) == []


def test_a_score_that_equals_its_operating_point_is_present(small_bundle, radiographs):
    bundle = load_bundle(small_bundle)
    scores = bundle.predict(radiographs[:1])[0].scores
    bundle.manifest = bundle.manifest.model_copy(update={"operating_points": (scores[0], scores[1] + 1e-9, 0.0)})
    assert bundle.predict(radiographs[:1])[0].present.tolist() == [True, False, True]


def test_a_bundle_knows_what_it_is(bundle, bundle_folder, manifest):
    assert bundle.path == bundle_folder
    assert bundle.digest == "sha256:" + hashlib.sha256((bundle_folder / "bundle.json").read_bytes()).hexdigest()
    assert bundle.engine_name == "openvino"
    assert bundle.task.name == "pneumonia"
    assert bundle.manifest == manifest.model_copy(update={"files": bundle.manifest.files})


def test_the_right_digest_is_accepted_and_another_is_not(small_bundle):
    digest = read_manifest(small_bundle)[1]
    assert load_bundle(small_bundle, digest).digest == digest
    other = "sha256:" + "0" * 64
    with pytest.raises(BundleDigestError) as caught:
        load_bundle(small_bundle, other)
    assert caught.value.values == {"path": small_bundle, "expected": other, "received": digest}


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_a_file_is_found(name, small_bundle):
    flip_a_bit(small_bundle / name)
    with pytest.raises(BundleDigestError) as caught:
        load_bundle(small_bundle)
    received = hashlib.sha256((small_bundle / name).read_bytes()).hexdigest()
    assert caught.value.values["path"] == small_bundle / name
    assert caught.value.values["received"] == f"sha256:{received}"


def test_a_flipped_bit_in_the_manifest_is_found_by_the_digest(small_bundle):
    digest = read_manifest(small_bundle)[1]
    flip_a_bit(small_bundle / "bundle.json")
    with pytest.raises(BundleDigestError):
        load_bundle(small_bundle, digest)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name, small_bundle):
    (small_bundle / name).unlink()
    with pytest.raises(BundleFormatError, match=f"{name} cannot be read"):
        load_bundle(small_bundle)


@pytest.mark.parametrize("remains", ["folder", "nothing", "file"])
def test_without_a_manifest_there_is_no_bundle(remains, tmp_path):
    path = tmp_path / "pneumonia"
    if remains == "folder":
        path.mkdir()
    elif remains == "file":
        path.write_text("no folder")
    with pytest.raises(BundleFormatError, match=r"it has no readable bundle\.json"):
        load_bundle(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'"bundle"', b"{}", b"\xff\xfe", b'{"task": "pneumonia"}'])
def test_a_malformed_manifest_is_a_format_error(text, small_bundle):
    (small_bundle / "bundle.json").write_bytes(text)
    with pytest.raises(BundleFormatError, match=r"bundle\.json is malformed"):
        load_bundle(small_bundle)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema_version": 3}, "its schema is 3, this release knows 2"),
        ({"schema_version": 1}, "its schema is 1, this release knows 2"),
        ({"schema_version": None}, "its schema is None, this release knows 2"),
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
        ({"task": "brain"}, "Unknown task 'brain'"),
        ({"heads": [{"name": "a", "kind": "multilabel", "findings": ["Hernia"]}]}, "findings of task pneumonia are"),
        ({"heads": [{"name": "a", "kind": "multilabel", "findings": ["Hiccups"]}]}, "'Hiccups' is not a finding"),
        ({"heads": [{"name": "a", "kind": "multilabel", "findings": []}]}, r"heads\.0\.findings"),
        ({"operating_points": [0.5, 0.5]}, "expected 3 thresholds, one a finding, not 2"),
        ({"conformal": {"risk": 0.1, "absent_below": [0.1]}}, "expected 3 thresholds, one a finding, not 1"),
        ({"age_group": "old"}, "age_group"),
        ({"terms": None}, "terms"),
        ({"preprocessing": {"height_px": -20, "width_px": 20}}, r"preprocessing\.height_px"),
        ({"calibration": None}, "calibration"),
        ({"calibration": {"parts": []}}, "calibration"),
        ({"training": {}}, r"training\.backbone: Field required"),
        ({"files": {}}, r"lists \[\], not "),
        ({"files": {"../model.onnx": "0" * 64}}, r"lists \['\.\./model\.onnx'\]"),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_a_format_error(change, reason, small_bundle):
    path = small_bundle / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleFormatError, match=reason):
        load_bundle(small_bundle)


def test_an_unknown_engine_is_told(small_bundle):
    with pytest.raises(UnknownNameError, match="Unknown engine 'tensorrt'"):
        load_bundle(small_bundle, engine="tensorrt")


def test_scores_that_are_no_numbers_are_refused(exported, manifest, tmp_path):
    network = shutil.copytree(exported, tmp_path / "exported")
    onnx.save(overflowing(exported), network / GRAPH)
    write_bundle(tmp_path / "bundle", network, manifest, CARD)
    bundle = load_bundle(tmp_path / "bundle")
    white = np.full((64, 64), 255, np.uint8)
    white[0, 0] = 0
    with pytest.raises(OutputError, match="Expected finite scores of pneumonia, but received 6 that are not"):
        bundle.predict([Radiograph(white)])
