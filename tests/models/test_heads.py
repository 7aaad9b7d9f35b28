"""Heads on one backbone: what they put out, how the outputs belong together, and that saved they stay the same."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from models.backbones import find_backbone
from models.backbones.backbone import EMBEDDING
from models.bundle import GRAPH, KERAS_MODEL
from models.bundle_writing import export_network
from models.engine import load_engine
from models.findings import Head, TaskKind
from models.heads import BACKBONE, HEAD, build_network
from models.preprocessing import Preprocessor

SIDE, FEATURES, PLACES = 20, 128, 3
SMALL = Preprocessor(height_px=SIDE, width_px=SIDE)
THREE = Head(
    name="pneumonia",
    kind=TaskKind.MULTICLASS,
    findings=("Normal", "Bacterial Pneumonia", "Viral Pneumonia"),
)
LUNGS = Head(name="lungs", kind=TaskKind.MULTILABEL, findings=("Effusion", "Mass"))
SITE = Head(name="site", kind=TaskKind.MULTILABEL, findings=("Tuberculosis",))
HEADS = (LUNGS, THREE, SITE)


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(5)
    return build_network(find_backbone("baseline_cnn"), HEADS, SMALL)


@pytest.fixture(scope="module")
def mirrored(network):
    """The same weights, answering with the mean over image and mirror image."""
    built = build_network(find_backbone("baseline_cnn"), HEADS, SMALL, mirror_mean=True)
    built.answerer.set_weights(network.answerer.get_weights())
    return built


@pytest.fixture
def batch(noise):
    return noise.random((4, SIDE, SIDE, 3), np.float32)


def answers(model, batch, **how):
    return {name: np.asarray(answer) for name, answer in model(batch, **how).items()}


def test_an_answer_is_logits_scores_embedding_and_maps_of_all_heads(network, batch):
    found = answers(network.answerer, batch)
    assert {name: answer.shape for name, answer in found.items()} == {
        "logits": (4, 6),
        "scores": (4, 6),
        "embedding": (4, FEATURES),
        "maps": (4, PLACES, PLACES, 6),
    }
    assert {answer.dtype.name for answer in found.values()} == {"float32"}
    assert (found["maps"] >= 0).all()
    assert np.ptp(found["logits"], axis=0).min() > 1e-6


def test_scores_are_softmax_within_a_multiclass_head_and_sigmoid_elsewhere(network, batch):
    found = answers(network.answerer, batch)
    logits = found["logits"]
    expected = [expit(logits[:, :2]), softmax(logits[:, 2:5], axis=1), expit(logits[:, 5:])]
    np.testing.assert_allclose(found["scores"], np.concatenate(expected, axis=1), atol=1e-6)


@pytest.mark.parametrize("head", [THREE, LUNGS], ids=["multiclass", "multilabel"])
def test_a_single_head_scores_as_its_kind_says(head, batch):
    found = answers(build_network(find_backbone("baseline_cnn"), [head], SMALL).answerer, batch)
    expected = softmax(found["logits"], axis=1) if head is THREE else expit(found["logits"])
    np.testing.assert_allclose(found["scores"], expected, atol=1e-6)


def test_heads_share_one_backbone_and_are_linear_in_its_embedding(network, batch):
    # 896 + 18,496 + 3*3*64*128 + 128 of the backbone, 128 * 6 + 6 of the heads
    assert network.answerer.count_params() == network.learner.count_params() == 93_248 + 774
    kernel, bias = network.answerer.get_layer(HEAD).get_weights()
    embedding = np.asarray(network.answerer.get_layer(BACKBONE)(batch)[EMBEDDING])
    found = answers(network.answerer, batch)
    np.testing.assert_array_equal(found["embedding"], embedding)
    np.testing.assert_allclose(found["logits"], embedding @ kernel + bias, rtol=1e-4, atol=1e-6)


def test_learner_and_answerer_have_the_same_weights(network, batch):
    np.testing.assert_allclose(network.learner(batch), answers(network.answerer, batch)["logits"], atol=1e-6)
    for mine, theirs in zip(network.learner.weights, network.answerer.weights, strict=True):
        assert mine is theirs


def test_dropout_is_for_learning_only_and_never_drops_what_is_answered(network, batch):
    plain, again, learning = (np.asarray(network.learner(batch, training=how)) for how in (False, False, True))
    assert np.array_equal(plain, again)
    assert not np.allclose(plain, learning, atol=1e-4)
    for name, answer in answers(network.answerer, batch, training=True).items():
        assert np.array_equal(answer, answers(network.answerer, batch)[name])


def test_dropout_has_the_rate_of_the_backbone(network):
    assert [layer.rate for layer in network.learner.layers if type(layer).__name__ == "Dropout"] == [0.5]


def test_mirror_mean_is_the_mean_over_an_image_and_its_mirror_image(network, mirrored, batch):
    found = answers(mirrored.answerer, batch)
    plain, flipped = (answers(network.answerer, images) for images in (batch, batch[:, :, ::-1]))
    for name in ("logits", "embedding"):
        np.testing.assert_allclose(found[name], (plain[name] + flipped[name]) / 2, rtol=1e-5, atol=1e-6)
    back = flipped["maps"][:, :, ::-1]
    np.testing.assert_allclose(found["maps"], (plain["maps"] + back) / 2, rtol=1e-5, atol=1e-6)
    assert not np.allclose(found["logits"], plain["logits"], atol=1e-4)


def test_mirror_mean_answers_the_same_about_a_mirror_image_and_scores_the_mean_logits(mirrored, batch):
    found, flipped = (answers(mirrored.answerer, images) for images in (batch, batch[:, :, ::-1]))
    np.testing.assert_allclose(found["scores"], flipped["scores"], atol=1e-6)
    np.testing.assert_allclose(found["scores"][:, 2:5], softmax(found["logits"][:, 2:5], axis=1), atol=1e-6)


def test_mirror_mean_leaves_the_learner_as_it_is(network, mirrored, batch):
    mirrored.learner.set_weights(network.learner.get_weights())
    np.testing.assert_allclose(mirrored.learner(batch), network.learner(batch), atol=1e-6)


@pytest.mark.parametrize("kind", ["network", "mirrored"])
def test_saved_and_exported_it_answers_the_same_under_the_same_names(kind, request, batch, tmp_path):
    import keras

    answerer = request.getfixturevalue(kind).answerer
    export_network(answerer, tmp_path)
    expected = answers(answerer, batch)
    for name, answer in answers(keras.saving.load_model(tmp_path / KERAS_MODEL), batch).items():
        np.testing.assert_allclose(answer, expected.pop(name), atol=1e-6)
    assert not expected
    for engine in ("onnxruntime", "openvino"):
        outputs = load_engine(engine, tmp_path / GRAPH, threads=1).run(batch)
        assert set(outputs) == {"logits", "scores", "embedding", "maps"}
        for name, answer in answers(answerer, batch).items():
            np.testing.assert_allclose(outputs[name], answer, rtol=1e-4, atol=1e-4)
