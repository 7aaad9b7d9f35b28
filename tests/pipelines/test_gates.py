"""Fitted on drawn or real chests and decoys, the gates refuse what is no chest and was never shown."""

import numpy as np
import pytest
import skimage.data
from sklearn.datasets import load_sample_image

from models.backbones.efficientnet_lite0 import EFFICIENTNET_LITE0
from models.backbones.imagenet import load_imagenet
from models.gates import CHEST_RADIOGRAPH_FROM, IN_DISTRIBUTION_FROM
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph
from models.reading import read_radiograph_file
from pipelines.gates import gates_of
from pipelines.phantom.cohort import cohort
from pipelines.phantom.draw import draw_phantom

PREPROCESSING = EFFICIENTNET_LITE0.preprocessing.model_copy(update={"crop_borders": True, "tone": "equalised"})
TINY = Preprocessor(height_px=8, width_px=8, channels=1)


@pytest.fixture(scope="module")
def answer():
    """What ImageNet sees in model inputs."""
    network = EFFICIENTNET_LITE0.build(PREPROCESSING.image_shape)
    load_imagenet(network)
    return lambda inputs: network.predict_on_batch(inputs)["embedding"]


@pytest.fixture(scope="module")
def no_chests():
    """A forearm or leg, two slices and two photographs, by name."""
    from pydicom.data import get_testdata_file

    names = ("RG3_UNCR.dcm", "CT_small.dcm", "MR_small.dcm")
    pictures = {name: read_radiograph_file(get_testdata_file(name, download=False)) for name in names}
    flower = load_sample_image("flower.jpg").mean(axis=-1).astype(np.uint8)
    return pictures | {"camera": Radiograph(skimage.data.camera()), "flower": Radiograph(flower)}


def values(gates, answer, radiographs):
    inputs = np.stack([PREPROCESSING(radiograph) for radiograph in radiographs])
    return np.array(gates.values(answer(inputs)))


def check(gates, answer, chests, no_chests):
    passed = values(gates, answer, chests) >= [CHEST_RADIOGRAPH_FROM, IN_DISTRIBUTION_FROM]
    assert passed.mean(axis=0).min() >= 0.95
    refused = values(gates, answer, list(no_chests.values()))[:, 0]
    assert {name: value for name, value in zip(no_chests, refused, strict=True) if value >= 0.5} == {}


def test_drawn_chests_pass_and_limbs_slices_and_photographs_do_not(answer, no_chests):
    drawn = [Radiograph(draw_phantom(record, 160).pixels) for record in cohort(60, 5)[:66]]
    gates = gates_of(answer, drawn[:30], drawn[30:46], PREPROCESSING, seed=1)
    check(gates, answer, drawn[46:], no_chests)


def test_real_chests_pass_and_limbs_slices_and_photographs_do_not(answer, no_chests, publishers, chest_dicom):
    def every(pattern, count):
        files = sorted(publishers.glob(pattern))
        return [read_radiograph_file(file) for file in files[:: len(files) // count][:count]]

    # Far apart in each list: two files of one patient stand side by side.
    sites = [every("nih_chestxray14/images/*.png", 40), every("shenzhen/CXR_png/*.png", 40)]
    train, more, validation, held_out = ([chest for site in sites for chest in site[part::4]] for part in range(4))
    gates = gates_of(answer, train + more, validation, PREPROCESSING, seed=1)
    check(gates, answer, held_out, no_chests)
    assert values(gates, answer, [read_radiograph_file(chest_dicom)])[0, 0] >= CHEST_RADIOGRAPH_FROM


def test_the_network_sees_at_most_a_batch_at_a_time_and_as_many_decoys_as_chests(noise):
    seen = []

    def mean_and_spread(inputs):
        seen.append(len(inputs))
        return np.stack([inputs.mean(axis=(1, 2, 3)), inputs.std(axis=(1, 2, 3))], axis=1)

    chests = [Radiograph(noise.integers(0, 256, (40, 40), np.uint8)) for _ in range(45)]
    gates_of(mean_and_spread, chests[:40], chests[40:], TINY, seed=1)
    assert seen == [32, 8, 32, 8, 5]


def test_the_same_seed_gives_the_same_gates(noise):
    def small(inputs):
        return inputs[:, ::4, ::4, 0].reshape(len(inputs), -1)

    chests = [Radiograph(noise.integers(0, 256, (40, 40), np.uint8)) for _ in range(20)]
    first, again = (gates_of(small, chests[:15], chests[15:], TINY, seed=1) for _ in range(2))
    assert first.values(small(np.stack([TINY(chest) for chest in chests]))) == again.values(
        small(np.stack([TINY(chest) for chest in chests]))
    )


@pytest.mark.parametrize(("train", "validation"), [(1, 3), (3, 1), (0, 0)])
def test_too_few_chests_are_refused(noise, train, validation):
    chest = Radiograph(noise.integers(0, 256, (40, 40), np.uint8))
    with pytest.raises(ValueError, match="at least 2 chest radiographs"):
        gates_of(lambda inputs: inputs[:, 0, :, 0], [chest] * train, [chest] * validation, TINY, seed=1)
