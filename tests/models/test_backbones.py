"""Every backbone of the table keeps the contract; the baseline is built layer by layer as it is described."""

import socket

import numpy as np
import pytest

from models.backbones import BACKBONES, find_backbone
from models.errors import UnknownNameError
from models.radiograph import Radiograph


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a backbone may download nothing")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
@pytest.mark.usefixtures("no_network")
def test_a_backbone_makes_features_of_what_its_preprocessing_gives(backbone, noise):
    radiograph = Radiograph(noise.integers(0, 256, (300, 200), np.uint8))
    model = backbone.build(backbone.preprocessing.image_shape)
    assert model.input_shape == (None, *backbone.preprocessing.image_shape)
    features = np.asarray(model(np.stack([backbone.preprocessing(radiograph)] * 2), training=False))
    assert features.shape == (2, model.output_shape[1])
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[0], features[1], rtol=1e-5)
    assert features.std() > 0
    assert 0 <= backbone.embedding_dropout < 1


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=BACKBONES)
def test_the_last_layer_is_the_embedding(backbone):
    assert backbone.build(backbone.preprocessing.image_shape).layers[-1].name == "embedding"


def described(layer):
    settings = layer.get_config()
    words = [settings.get(key) for key in ("filters", "units", "kernel_size", "pool_size", "activation")]
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
        ("Flatten",),
        ("Dense", 128, "relu"),
    ]
    # 150 -> 148 -> 74 -> 72 -> 36: 3*3*3*32 + 32, 3*3*32*64 + 64, 36*36*64*128 + 128
    assert model.count_params() == 896 + 18_496 + 10_616_960
    assert baseline.embedding_dropout == 0.5


@pytest.mark.parametrize(
    ("name", "shape", "black", "white"),
    [("baseline_cnn", (150, 150, 3), 0.0, 1.0), ("efficientnet_lite0", (224, 224, 3), -127 / 128, 1.0)],
)
def test_black_and_white_are_what_the_architecture_knows(name, shape, black, white):
    preprocessing = find_backbone(name).preprocessing
    for grey, expected in [(0, black), (255, white)]:
        found = preprocessing(Radiograph(np.full((40, 40), grey, np.uint8)))
        np.testing.assert_allclose(found, np.full(shape, expected), rtol=1e-6)


def test_efficientnet_lite0_has_1280_features_of_3_4_million_weights():
    # Published: 4.7 million parameters, of which 1280 * 1000 + 1000 are ImageNet's head.
    model = find_backbone("efficientnet_lite0").build((224, 224, 3))
    assert model.output_shape == (None, 1280)
    assert model.count_params() == pytest.approx(4.652e6 - 1.281e6, rel=0.02)


def test_an_unknown_backbone_is_told_with_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        find_backbone("resnet")
    assert caught.value.values == {"kind": "backbone", "name": "resnet", "known": "baseline_cnn, efficientnet_lite0"}


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        BACKBONES["resnet"] = find_backbone("baseline_cnn")
