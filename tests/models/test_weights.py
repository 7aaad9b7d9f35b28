"""A backbone gets the weights it is asked to begin with, all of them, or stays as it was and the reason is told."""

import socket
from itertools import count

import numpy as np
import pytest

from models.backbones import BACKBONES, find_backbone
from models.backbones.imagenet import load_imagenet
from models.backbones.keras_applications import APPLICATIONS
from models.backbones.weights import load_weights
from models.bundle import KERAS_MODEL
from models.errors import BundleDigestError, BundleFormatError, WeightsError
from models.findings import Head, TaskKind
from models.heads import BACKBONE, build_network
from models.preprocessing import Preprocessor

SMALL = Preprocessor(height_px=20, width_px=20)
SIDE = 32
MOBILE = Preprocessor(height_px=SIDE, width_px=SIDE, scale=2.0, offset=-1.0)
TWO = Head(name="lungs", kind=TaskKind.MULTILABEL, findings=("Effusion", "Mass"))
NAME = "mobilenet_v3_small"
_seeds = count(1)


def by_chance(network):
    """Other weights each time, statistics of batch norms too, at which values neither vanish nor explode."""
    rng = np.random.default_rng(next(_seeds))
    for variable in network.weights:
        value = variable.numpy()
        if variable.name in {"gamma", "moving_variance"}:
            value = rng.uniform(0.5, 1.5, value.shape)
        elif variable.name in {"beta", "bias", "moving_mean"}:
            value = rng.normal(0, 0.3, value.shape)
        variable.assign(value)
    return network


@pytest.fixture(scope="module")
def network():
    return find_backbone(NAME).build(MOBILE.image_shape)


@pytest.fixture(scope="module")
def other():
    """Of the same architecture, built apart."""
    return by_chance(find_backbone(NAME).build(MOBILE.image_shape))


def answers(network):
    side = network.input_shape[1]
    batch = np.random.default_rng(0).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    return np.asarray(network(batch, training=False)["feature_map"])


def assert_same(network, source):
    np.testing.assert_array_equal(answers(network), answers(source))


def refusal(name, network, weights, preprocessing=MOBILE, error=WeightsError):
    """What it says; the network must not have changed."""
    before = network.get_weights()
    with pytest.raises(error) as caught:
        load_weights(name, network, str(weights), preprocessing)
    for left, right in zip(network.get_weights(), before, strict=True):
        assert np.array_equal(left, right)
    return str(caught.value)


def test_none_leaves_chance(network, other):
    network.set_weights(other.get_weights())
    load_weights(NAME, network, "none", MOBILE)
    assert_same(network, other)


@pytest.mark.parametrize("file", ["backbone.keras", "backbone.weights.h5"])
def test_a_file_of_the_backbone_is_taken(network, other, tmp_path, file):
    by_chance(network)
    other.save_weights(tmp_path / file) if file.endswith(".h5") else other.save(tmp_path / file)
    load_weights(NAME, network, str(tmp_path / file), MOBILE)
    assert_same(network, other)


def test_of_a_whole_network_the_backbone_is_taken(network, tmp_path):
    whole = build_network(find_backbone(NAME), [TWO], MOBILE, mirror_mean=True).answerer
    by_chance(whole).save(tmp_path / "model.keras")
    load_weights(NAME, network, str(tmp_path / "model.keras"), MOBILE)
    assert_same(network, whole.get_layer(BACKBONE))


def test_of_a_bundle_the_backbone_is_taken(small_bundle, small_network):
    network = find_backbone("baseline_cnn").build(SMALL.image_shape)
    load_weights("baseline_cnn", network, str(small_bundle), SMALL)
    assert_same(network, small_network.get_layer(BACKBONE))


def test_lite0_learnt_of_imagenet_from_its_package():
    lite0 = find_backbone("efficientnet_lite0")
    network, expected = (lite0.build((SIDE, SIDE, 3)) for _ in range(2))
    load_imagenet(expected)
    load_weights("efficientnet_lite0", network, "imagenet", lite0.preprocessing)
    assert_same(network, expected)


def test_every_backbone_but_the_baseline_and_lite0_is_downloaded_by_keras():
    assert set(APPLICATIONS) == set(BACKBONES) - {"baseline_cnn", "efficientnet_lite0"}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_what_keras_downloads_sees_the_same_after_it_went_in(name, monkeypatch):
    """The download is random weights here: that each array finds its place shows in the same feature map."""
    import keras

    # keras-cv pads as keras.applications does at odd sides only, where that makes a difference.
    side = 65 if name in {"densenet121", "resnet50_v2"} else SIDE
    preprocessed = {} if name in {"densenet121", "resnet50_v2"} else {"include_preprocessing": False}
    make = getattr(keras.applications, APPLICATIONS[name])
    downloaded = by_chance(make(include_top=False, weights=None, input_shape=(side, side, 3), **preprocessed))
    if name == "resnet50_v2":
        # Nothing below zero comes to its pooling, which in keras.applications has zeros around it.
        downloaded.get_layer("conv1_conv").bias.assign(np.full(64, 20, np.float32))
    monkeypatch.setattr(keras.applications, APPLICATIONS[name], lambda **_: downloaded)
    network = find_backbone(name).build((side, side, 3))
    batch = np.random.default_rng(0).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    load_weights(name, network, "imagenet", find_backbone(name).preprocessing)
    expected = np.asarray(downloaded(batch, training=False))
    assert expected.std() > 0
    np.testing.assert_allclose(answers(network), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_what_keras_saved_elsewhere_is_taken_as_the_refusal_says(network, tmp_path):
    import keras

    shape = (SIDE, SIDE, 3)
    saved = by_chance(keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=shape))
    saved.save(tmp_path / f"{NAME}.keras")
    load_weights(NAME, network, str(tmp_path / f"{NAME}.keras"), MOBILE)
    for mine, theirs in zip(network.get_weights(), saved.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)


def test_without_a_network_a_download_is_refused_with_the_way_out(network, monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))  # nothing was downloaded before
    message = refusal(NAME, network, "imagenet")
    assert "Name or service not known: no download is possible here" in message
    assert "Set weights to none, or to a path" in message
    assert f'keras.applications.MobileNetV3Small(include_top=False).save("{NAME}.keras")' in message


def test_imagenet_taught_the_baseline_nothing():
    network = find_backbone("baseline_cnn").build(SMALL.image_shape)
    message = refusal("baseline_cnn", network, "imagenet", SMALL)
    assert "efficientnet_lite0, efficientnet_v2_b0" in message
    assert "Set weights to none or a path" in message


def test_a_file_that_is_not_there_is_told(network, tmp_path):
    message = refusal(NAME, network, tmp_path / "lost.keras")
    assert f"{tmp_path}/lost.keras: expected a file or a bundle's folder, but received none" in message


def test_a_file_of_another_kind_is_told(network, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"")
    message = refusal(NAME, network, tmp_path / "weights.pth")
    assert (
        "expected a .keras file, a .weights.h5 file or a bundle's folder, but received a file of the kind '.pth'"
        in message
    )


@pytest.mark.parametrize("left", [0, 1_000, 1_000_000])
@pytest.mark.parametrize("file", ["backbone.keras", "backbone.weights.h5"])
def test_a_file_that_breaks_off_is_refused(network, other, tmp_path, file, left):
    by_chance(network)
    path = tmp_path / file
    other.save_weights(path) if file.endswith(".h5") else other.save(path)
    path.write_bytes(path.read_bytes()[:left])
    assert "whole" in refusal(NAME, network, path)


def test_another_architecture_is_told_with_the_first_array_that_differs(network, tmp_path):
    find_backbone("baseline_cnn").build(SMALL.image_shape).save(tmp_path / "baseline.keras")
    message = refusal(NAME, network, tmp_path / "baseline.keras")
    assert "expected Conv/kernel of shape (3, 3, 3, 16), but received" in message
    assert "/kernel of shape (3, 3, 3, 32)" in message


def test_weights_of_another_architecture_are_refused_even_when_some_fit(tmp_path):
    network = by_chance(find_backbone("baseline_cnn").build(SMALL.image_shape))
    larger = find_backbone("baseline_cnn").build((24, 24, 3))
    larger.save_weights(tmp_path / "larger.weights.h5")
    message = refusal("baseline_cnn", network, tmp_path / "larger.weights.h5", SMALL)
    assert "dense_embedding" in message
    assert "(1024, 128)" in message  # 4 * 4 places * 64 maps


def test_weights_that_fit_nowhere_are_refused(network, tmp_path):
    by_chance(network)
    find_backbone("baseline_cnn").build(SMALL.image_shape).save_weights(tmp_path / "baseline.weights.h5")
    assert "could not be loaded" in refusal(NAME, network, tmp_path / "baseline.weights.h5")


def test_a_network_that_goes_on_is_told(tmp_path):
    import keras

    network = find_backbone("baseline_cnn").build(SMALL.image_shape)
    head = keras.layers.Dense(2, name="head")(network.output["embedding"])
    keras.Model(network.input, head).save(tmp_path / "longer.keras")
    message = refusal("baseline_cnn", network, tmp_path / "longer.keras", SMALL)
    assert "expected no further array, but received head/kernel of shape (128, 2)" in message


def test_a_saved_network_that_would_run_code_is_refused(network, tmp_path):
    import keras

    inputs = keras.Input((SIDE, SIDE, 3))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "trap.keras")
    assert "unsafe" in refusal(NAME, network, tmp_path / "trap.keras")


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (
            "efficientnet_lite0",
            {},
            "efficientnet_lite0 that sees grey * 1.0 + 0.0 in 3 channels, but received baseline_cnn",
        ),
        ("baseline_cnn", {"scale": 2.0, "offset": -1.0}, "grey * 2.0 + -1.0 in 3 channels, but received baseline_cnn"),
        ("baseline_cnn", {"channels": 1}, "in 1 channels, but received baseline_cnn"),
    ],
)
def test_a_bundle_that_learnt_from_something_else_is_refused(small_bundle, name, change, told):
    network = find_backbone("baseline_cnn").build(SMALL.image_shape)
    assert told in refusal(name, network, small_bundle, SMALL.model_copy(update=change))


def test_a_bundle_that_is_not_whole_is_refused(small_bundle):
    network = find_backbone("baseline_cnn").build(SMALL.image_shape)
    with (small_bundle / KERAS_MODEL).open("ab") as file:
        file.write(b"x")
    refusal("baseline_cnn", network, small_bundle, SMALL, BundleDigestError)


def test_a_folder_that_is_no_bundle_is_refused(network, tmp_path):
    refusal(NAME, network, tmp_path, error=BundleFormatError)
