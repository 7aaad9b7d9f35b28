"""A map that ignores the network's weights is found out."""

import numpy as np
import pandas as pd
import pytest

from models.backbones import find_backbone
from models.bundle import KERAS_MODEL
from models.heads import build_network
from models.radiograph import Radiograph
from pipelines.sanity import load_network, sanity_figures, shuffled_correlation
from tests.pipelines.bundles import stub_bundle, thoracic, write_radiographs

FINDINGS = ("Mass", "Nodule", "Effusion", "Edema", "Hernia", "Fibrosis")


def real_network(manifest, **shape):
    import keras

    keras.utils.set_random_seed(3)
    return build_network(find_backbone("baseline_cnn"), manifest.heads, manifest.preprocessing, **shape).answerer


def brightness_network(manifest):
    """Scores come from weights; the maps are how bright the image is."""
    import keras
    from keras import layers

    radiograph = keras.Input(manifest.preprocessing.image_shape)
    embedding = layers.Dense(8, activation="relu")(layers.Flatten()(radiograph))
    bright = layers.AveragePooling2D(8)(radiograph)
    maps = layers.Concatenate()([bright] * len(FINDINGS))
    return keras.Model(
        radiograph, {"scores": layers.Dense(len(FINDINGS), activation="sigmoid")(embedding), "maps": maps}
    )


@pytest.fixture
def of_lungs(manifest):
    return thoracic(manifest, *FINDINGS)


@pytest.fixture
def data(tmp_path, noise):
    images = {f"{at}.png": Radiograph(noise.integers(0, 256, (64, 64), np.uint8)) for at in range(30)}
    write_radiographs(tmp_path / "shards", "jsrt", images)
    rows = pd.DataFrame({"image": list(images), "source": "jsrt", "group": list(images), "split": "test"})
    return tmp_path / "shards", rows


def sanity_of(network, manifest, data, folder):
    network.save(folder / KERAS_MODEL)
    shards, rows = data
    return sanity_figures(stub_bundle(manifest, None, folder), rows, shards)


def test_maps_that_are_the_images_brightness_fail(of_lungs, data, tmp_path):
    found = sanity_of(brightness_network(of_lungs), of_lungs, data, tmp_path)
    assert found == {"correlation": pytest.approx(1.0), "passes": False}


@pytest.mark.parametrize("mirror_mean", [False, True])
def test_maps_of_a_network_pass(of_lungs, data, tmp_path, mirror_mean):
    found = sanity_of(real_network(of_lungs, mirror_mean=mirror_mean), of_lungs, data, tmp_path)
    assert 0 < found["correlation"] < 0.5
    assert found["passes"] is True


def test_the_file_of_the_bundle_stays_as_it_was(of_lungs, data, tmp_path):
    network = real_network(of_lungs)
    network.save(tmp_path / KERAS_MODEL)
    before = (tmp_path / KERAS_MODEL).read_bytes()
    shards, rows = data
    first, second = (sanity_figures(stub_bundle(of_lungs, None, tmp_path), rows, shards) for _ in range(2))
    assert (tmp_path / KERAS_MODEL).read_bytes() == before
    assert first == second


def test_without_test_images_there_is_nothing_to_say(of_lungs, data, tmp_path):
    shards, rows = data
    assert sanity_figures(stub_bundle(of_lungs, None, tmp_path), rows.assign(split="train"), shards) == {}


def test_a_network_whose_maps_are_flat_fails(of_lungs, noise):
    network = real_network(of_lungs)
    for weight in network.weights:
        weight.assign(np.zeros(weight.shape))
    inputs = noise.random((4, 64, 64, 1), np.float32)
    assert shuffled_correlation(network, inputs) == 1.0


def test_code_in_a_network_is_not_run(of_lungs, tmp_path):
    import keras

    radiograph = keras.Input((64, 64, 1))
    keras.Model(radiograph, keras.layers.Lambda(lambda batch: batch)(radiograph)).save(tmp_path / KERAS_MODEL)
    with pytest.raises(ValueError, match="unsafe"):
        load_network(tmp_path / KERAS_MODEL)
