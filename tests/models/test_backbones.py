"""Every backbone of the table keeps the contract; the baseline is built layer by layer as it is described."""

import socket
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from models.backbones import BACKBONES, find_backbone
from models.errors import UnknownNameError
from models.findings import Head, TaskKind
from models.heads import BACKBONE, HEAD, build_network
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph

SIDE = 64
SMALL = Preprocessor(height_px=SIDE, width_px=SIDE)
TWO = Head(name="lungs", kind=TaskKind.MULTILABEL, findings=("Effusion", "Mass"))
# Features, side of the feature map at 64 px, maps.
SHAPES = {
    "baseline_cnn": (128, 14, 64),
    "efficientnet_lite0": (1280, 2, 1280),
    "efficientnet_v2_b0": (1280, 2, 1280),
    "efficientnet_v2_s": (1280, 2, 1280),
    "densenet121": (1024, 2, 1024),
    "resnet50_v2": (2048, 2, 2048),
    "mobilenet_v3_small": (576, 2, 576),
    "mobilenet_v3_large": (960, 2, 960),
}


@dataclass(frozen=True)
class Built:
    name: str
    network: Any
    batch: np.ndarray
    outputs: dict[str, np.ndarray]


def arrays(outputs):
    return {name: np.asarray(output) for name, output in outputs.items()}


def refuse(*_):
    raise AssertionError("a backbone may download nothing")


@pytest.fixture(scope="module", params=BACKBONES)
def built(request):
    import keras

    keras.utils.set_random_seed(3)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        network = find_backbone(request.param).build(SMALL.image_shape)
    batch = np.random.default_rng(4).uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
    return Built(request.param, network, batch, arrays(network(batch, training=False)))


def test_a_backbone_gives_an_embedding_and_the_map_it_comes_from(built):
    features, side, maps = SHAPES[built.name]
    assert built.network.name == built.name
    assert built.network.input_shape == (None, SIDE, SIDE, 3)
    expected = {"embedding": (features,), "feature_map": (side, side, maps)}
    if built.name == "baseline_cnn":
        expected["gain"] = (features, maps)
    assert {name: output.shape for name, output in built.outputs.items()} == {
        name: (2, *shape) for name, shape in expected.items()
    }
    assert {name: tensor.shape for name, tensor in built.network.output.items()} == {
        name: (None, *shape) for name, shape in expected.items()
    }
    for output in built.outputs.values():
        assert output.dtype == np.float32
        assert np.isfinite(output).all()
    assert built.outputs["embedding"].std() > 0


def test_the_embedding_is_the_mean_over_the_places_or_comes_with_its_gain(built):
    embedding, mean = built.outputs["embedding"], built.outputs["feature_map"].mean(axis=(1, 2))
    if "gain" not in built.outputs:
        np.testing.assert_allclose(embedding, mean, rtol=1e-4, atol=1e-6 * np.abs(embedding).max())


def test_a_saved_backbone_is_loaded_in_safe_mode_and_answers_the_same(built, tmp_path):
    import keras

    built.network.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    for name, output in loaded(built.batch, training=False).items():
        np.testing.assert_array_equal(np.asarray(output), built.outputs[name])


def test_the_size_is_the_published_one(built):
    # Millions, of https://keras.io/api/applications and, for Lite0, of its release; their classifier for 1000 classes
    # goes off, which for MobileNetV3 has a layer of its own before it.
    published = {
        "efficientnet_lite0": 4.7 - 1.281,
        "efficientnet_v2_b0": 7.2 - 1.281,
        "efficientnet_v2_s": 21.6 - 1.281,
        "densenet121": 8.1 - 1.025,
        "resnet50_v2": 25.6 - 2.049,
        "mobilenet_v3_small": 2.55 - 0.591 - 1.025,
        "mobilenet_v3_large": 5.5 - 1.230 - 1.281,
        # 64 -> 62 -> 31 -> 29 -> 14: 3*3*3*32 + 32, 3*3*32*64 + 64, 14*14*64*128 + 128
        "baseline_cnn": (896 + 18_496 + 1_605_760) / 1e6,
    }
    assert built.network.count_params() / 1e6 == pytest.approx(published[built.name], rel=0.02)


BYTES = {
    "baseline_cnn": (150, 0.0, 1.0),
    "efficientnet_lite0": (224, -127 / 128, 1.0),  # (b - 127) / 128
    "efficientnet_v2_b0": (224, -1.98673, 2.43805),  # (b / 255 - 0.449) / 0.226
    "efficientnet_v2_s": (300, -1.0, 127 / 128),  # (b - 128) / 128
    "densenet121": (225, -1.98673, 2.43805),
    "resnet50_v2": (225, -1.0, 1.0),  # b / 127.5 - 1
    "mobilenet_v3_small": (224, -1.0, 1.0),
    "mobilenet_v3_large": (224, -1.0, 1.0),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_black_and_white_are_what_the_architecture_knows(name):
    backbone = find_backbone(name)
    side, black, white = BYTES[name]
    for grey, expected in [(0, black), (255, white)]:
        found = backbone.preprocessing(Radiograph(np.full((40, 40), grey, np.uint8)))
        np.testing.assert_allclose(found, np.full((side, side, 3), expected), rtol=1e-5)
    assert 0 <= backbone.embedding_dropout < 1


@pytest.mark.parametrize("grey", [0, 255])
def test_grey_is_scaled_as_keras_applications_scales_the_mean_of_its_channels(grey):
    from keras.applications import densenet

    expected = densenet.preprocess_input(np.full((1, 1, 1, 3), grey, np.float32)).mean()
    found = find_backbone("densenet121").preprocessing(Radiograph(np.full((40, 40), grey, np.uint8)))
    assert found.mean() == pytest.approx(expected, rel=1e-3)


def described(layer):
    settings = layer.get_config()
    words = [settings.get(key) for key in ("filters", "features", "kernel_size", "pool_size", "activation")]
    return type(layer).__name__, *(word for word in words if word is not None)


def test_the_baseline_is_built_as_described():
    baseline = find_backbone("baseline_cnn")
    model = baseline.build(baseline.preprocessing.image_shape)
    assert model.input_shape == (None, 150, 150, 3)
    assert [described(layer) for layer in model.layers[1:]] == [
        ("Conv2D", 32, (3, 3), "relu"),
        ("MaxPooling2D", (2, 2)),
        ("Conv2D", 64, (3, 3), "relu"),
        ("MaxPooling2D", (2, 2)),
        ("DenseEmbedding", 128),
    ]
    # 150 -> 148 -> 74 -> 72 -> 36: 3*3*3*32 + 32, 3*3*32*64 + 64, 36*36*64*128 + 128
    assert model.count_params() == 896 + 18_496 + 10_616_960
    assert baseline.embedding_dropout == 0.5


def test_the_embedding_of_the_baseline_is_a_rectified_dense_layer_of_its_map():
    network = find_backbone("baseline_cnn").build((20, 20, 3))
    outputs = arrays(network(np.random.default_rng(5).random((3, 20, 20, 3), np.float32)))
    kernel, bias = network.get_layer("dense_embedding").get_weights()
    expected = np.maximum(outputs["feature_map"].reshape(3, -1) @ kernel + bias, 0)
    np.testing.assert_allclose(outputs["embedding"], expected, rtol=1e-4, atol=1e-6)


def test_the_gain_of_the_baseline_is_the_gradient_averaged_over_the_places():
    import tensorflow as tf

    network = find_backbone("baseline_cnn").build((20, 20, 3))
    with tf.GradientTape() as tape:
        outputs = network(np.random.default_rng(6).random((3, 20, 20, 3), np.float32))
    gradients = tape.batch_jacobian(outputs["embedding"], outputs["feature_map"]).numpy()
    assert gradients.shape == (3, 128, 3, 3, 64)
    gain = np.asarray(outputs["gain"])
    np.testing.assert_allclose(gain, gradients.mean(axis=(2, 3)), rtol=1e-4, atol=1e-7)
    assert 0 < (gain == 0).all(axis=2).mean() < 1  # cut-off features have none


@pytest.mark.parametrize("name", ["baseline_cnn", "efficientnet_lite0", "mobilenet_v3_small"])
def test_maps_are_grad_cam(name):
    """Each map weighed with its gradient, averaged over the places, and the sum rectified (Selvaraju et al. 2017)."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(8)
    answerer = build_network(find_backbone(name), [TWO], SMALL).answerer
    features, head = answerer.get_layer(BACKBONE), answerer.get_layer(HEAD)
    batch = np.random.default_rng(7).uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
    with tf.GradientTape(persistent=True) as tape:
        seen = features(batch, training=False)
        logits = seen["embedding"] @ head.kernel + head.bias
        each = [logits[:, column] for column in range(2)]
    found = np.asarray(answerer(batch)["maps"])
    assert found.max() > 0
    for column, logit in enumerate(each):
        weights = tf.reduce_mean(tape.gradient(logit, seen["feature_map"]), axis=(1, 2), keepdims=True)
        expected = np.maximum(np.sum(seen["feature_map"] * weights, axis=-1), 0)
        np.testing.assert_allclose(found[..., column], expected, rtol=1e-4, atol=1e-5 * found.max())


def test_an_unknown_backbone_is_told_with_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        find_backbone("resnet")
    assert caught.value.values == {"kind": "backbone", "name": "resnet", "known": ", ".join(SHAPES)}


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        BACKBONES["resnet"] = find_backbone("baseline_cnn")
