"""ImageNet's weights see in photographs what is in them, and go into no other network."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from models.backbones import find_backbone
from models.backbones.imagenet import imagenet_tensors, load_imagenet
from models.errors import WeightsError

SIDE = 224
PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def classes():
    """From photographs (n, 224, 224, 3) uint8 to the class (n,) that the package's own classifier gives the most."""
    network = find_backbone("efficientnet_lite0").build((SIDE, SIDE, 3))
    load_imagenet(network)
    tensors = imagenet_tensors()

    def most_likely(photographs):
        embeddings = np.asarray(network((photographs.astype(np.float32) - 127) / 128, training=False)["embedding"])
        return (embeddings @ tensors["_fc.weight"].T + tensors["_fc.bias"]).argmax(axis=1)

    return most_likely


def photograph(name):
    """As ImageNet's validation is done for this network: the central 7/8 of the shorter side, bicubic."""
    picture = Image.fromarray(load_sample_image(name))
    side = min(picture.size) * SIDE // (SIDE + 32)
    left, top = ((length - side) // 2 for length in picture.size)
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box))


def test_photographs_are_what_they_show(classes):
    found = classes(np.stack([photograph("china.jpg"), photograph("flower.jpg")]))
    assert found.tolist() == [PALACE, DAISY]


def test_another_network_is_refused_and_left_as_it_was():
    network = find_backbone("baseline_cnn").build((20, 20, 3))
    before = network.get_weights()
    with pytest.raises(WeightsError) as caught:
        load_imagenet(network)
    assert "baseline_cnn with 6" in str(caught.value)
    for left, right in zip(network.get_weights(), before, strict=True):
        assert np.array_equal(left, right)
