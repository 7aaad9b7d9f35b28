"""Training images vary within the settings, each by itself and by seed, and the heart stays on its side."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter, laplace
from scipy.stats import kurtosis

from pipelines.augmentation import augmentation
from pipelines.params import Augment

SEED = 11
EVERYTHING = Augment(
    rotation_degrees=30.0,
    zoom=0.3,
    shift=0.2,
    contrast=0.9,
    gamma=0.9,
    blur=0.5,
    sharpness=0.5,
    noise=0.2,
    jpeg=0.5,
    border=0.3,
    mirror=True,
    mix="mixup",
)
ALONE = (
    {"rotation_degrees": 10.0},
    {"zoom": 0.2},
    {"shift": 0.1},
    {"contrast": 0.5},
    {"gamma": 0.5},
    {"blur": 1.0},
    {"sharpness": 1.0},
    {"noise": 0.1},
    {"jpeg": 1.0},
    {"border": 0.2},
    {"mirror": True},
    {"mix": "mixup", "mix_alpha": 1.0},
    {"mix": "cutmix", "mix_alpha": 1.0},
)
NAMES = [" ".join(map(str, settings.values())) if "mix" in settings else next(iter(settings)) for settings in ALONE]


def collected(dataset):
    """All greys and all targets of its batches."""
    return tuple(np.concatenate(parts) for parts in zip(*dataset.as_numpy_iterator(), strict=True))


def mapped(settings, greys, targets, batch_size=16, seed=SEED):
    """Greys and targets as training gets them: through `tf.data`, in as many calls at once as it likes."""
    dataset = tf.data.Dataset.from_tensor_slices((greys, targets)).batch(batch_size)
    return collected(dataset.map(augmentation(settings, seed), tf.data.AUTOTUNE))


def varied(greys, seed=SEED, **settings):
    targets = np.zeros((len(greys), 1, 2), np.float32)
    return mapped(Augment(**settings), greys, targets, len(greys), seed)[0]


def roughness(greys):
    """The spread of each image's Laplacian."""
    return np.std([laplace(grey) for grey in greys[..., 0]], axis=(1, 2))


def places(greys):
    """Each image's centre of brightness, (n, 2): row and column in pixels."""
    rows, columns = (np.arange(side) for side in greys.shape[1:3])
    total = greys.sum(axis=(1, 2, 3))
    return np.stack([(greys.sum(axis=(2, 3)) @ rows) / total, (greys.sum(axis=(1, 3)) @ columns) / total], axis=1)


@pytest.fixture
def greys(noise):
    """Smooth pictures, none like another."""
    rough = gaussian_filter(noise.random((24, 64, 48, 1), np.float32), (0, 2, 2, 0))
    low, high = rough.min(axis=(1, 2, 3), keepdims=True), rough.max(axis=(1, 2, 3), keepdims=True)
    return (rough - low) / (high - low)


@pytest.fixture
def targets(noise):
    labels, weights = noise.integers(0, 2, (2, 24, 3)).astype(np.float32)
    return np.stack([labels, weights], axis=-1)


def spots(row, column, images=64):
    """Pictures of 64 by 64 pixels with one bright spot of 8 by 8 whose top left corner is given."""
    pictures = np.zeros((images, 64, 64, 1), np.float32)
    pictures[:, row : row + 8, column : column + 8] = 1
    return pictures


def test_nothing_set_changes_nothing(greys, targets):
    found, found_targets = mapped(Augment(), greys, targets)
    assert np.array_equal(found, greys)
    assert np.array_equal(found_targets, targets)


@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix"])
def test_shapes_types_and_ranges_stay_also_in_the_smaller_last_batch(greys, targets, mix):
    settings = EVERYTHING.model_copy(update={"mix": mix})
    dataset = tf.data.Dataset.from_tensor_slices((greys, targets)).batch(23)
    varying = dataset.map(augmentation(settings, SEED), tf.data.AUTOTUNE)
    assert varying.element_spec == dataset.element_spec
    found, found_targets = collected(varying)
    assert found.shape == greys.shape
    assert found_targets.shape == targets.shape
    assert found.dtype == found_targets.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert found_targets.min() >= 0
    assert found_targets.max() <= 1


@pytest.mark.parametrize("settings", ALONE, ids=NAMES)
def test_each_setting_varies_each_image_by_itself_and_only_a_mix_varies_targets(greys, targets, settings):
    mixed = "mix" in settings
    given = greys[:8] if mixed else np.repeat(greys[:1], 8, axis=0)
    found, found_targets = mapped(Augment(**settings), given, targets[:8])
    assert not np.array_equal(found, given)
    different = len({image.tobytes() for image in found})
    assert different == 2 if "mirror" in settings else different > 5  # qualities of JPEG are whole numbers
    assert np.array_equal(found_targets, targets[:8]) != mixed


def test_the_same_seed_and_batches_give_the_same_result(greys, targets):
    first = mapped(EVERYTHING, greys, targets, batch_size=2)
    again = mapped(EVERYTHING, greys, targets, batch_size=2)
    other = mapped(EVERYTHING, greys, targets, batch_size=2, seed=SEED + 1)
    assert np.array_equal(again[0], first[0])
    assert np.array_equal(again[1], first[1])
    assert not np.array_equal(other[0], first[0])


def test_another_batch_gets_other_draws():
    corner = spots(28, 28, images=2)
    corner[1, 0, 0] = 0.5
    (first, *_), (other, *_) = (places(varied(batch, shift=0.2)) for batch in (corner, corner[::-1]))
    assert abs(first - other).max() > 0.5


def test_the_draws_of_a_batch_do_not_follow_one_another():
    found = places(varied(spots(28, 28, images=256), shift=0.2)) - 31.5
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.3


def test_images_are_never_mirrored_unless_asked():
    left = spots(28, 8, images=256)
    strong = {"rotation_degrees": 10.0, "zoom": 0.1, "shift": 0.1, "border": 0.1}
    columns = places(varied(left, **strong))[:, 1]
    assert columns.max() < 31.5
    assert columns.std() > 1
    mirrored = places(varied(left, mirror=True))
    assert set(np.round(mirrored[:, 1], 3)) == {11.5, 51.5}
    assert mirrored[:, 0] == pytest.approx(31.5, abs=1e-3)
    assert 90 < np.sum(mirrored[:, 1] > 31.5) < 166


def test_a_shift_moves_by_at_most_its_share_of_the_side():
    moved = places(varied(spots(28, 28, images=256), shift=0.25)) - 31.5
    assert 15 < abs(moved).max() <= 16
    assert abs(moved.mean(axis=0)).max() < 1.5


def test_a_rotation_turns_about_the_centre_by_at_most_its_degrees():
    row, column = (places(varied(spots(28, 8, images=256), rotation_degrees=20.0)) - 31.5).T
    assert np.hypot(row, column) == pytest.approx(20, abs=0.3)
    degrees = np.rad2deg(np.arctan2(row, -column))
    assert degrees.min() == pytest.approx(-20, abs=1)
    assert degrees.max() == pytest.approx(20, abs=1)


def test_a_zoom_keeps_proportions_and_the_centre():
    found = varied(spots(28, 28), zoom=0.3)
    assert places(found) == pytest.approx(31.5, abs=0.01)
    area = found.sum(axis=(1, 2, 3)) / 64
    assert 0.55 < area.min() < 0.7  # 1 / 1.3²
    assert 1.6 < area.max() < 2.1  # 1 / 0.7²


def test_a_border_is_cut_off_and_the_rest_stretched():
    framed = np.ones((64, 60, 80, 1), np.float32)
    framed[:, 6:-6, 8:-8] = 0.5
    dark = spots(28, 28)
    area = varied(dark, border=0.2).sum(axis=(1, 2, 3)) / 64
    assert area.min() > 1
    assert 1.3 < area.max() < 2.8  # 1 / 0.6²
    found = varied(framed, border=0.2)[..., 0]
    assert found.min() == pytest.approx(0.5)  # nothing comes from outside
    frame = (found > 0.75).mean(axis=(1, 2))
    assert frame.max() < 0.36
    assert frame.min() < 0.1


def test_contrast_is_about_the_mean(greys):
    middling = 0.4 + 0.2 * greys
    found = varied(middling, contrast=0.5)
    assert found.mean(axis=(1, 2, 3)) == pytest.approx(middling.mean(axis=(1, 2, 3)), abs=1e-4)
    gain = found.std(axis=(1, 2, 3)) / middling.std(axis=(1, 2, 3))
    assert 0.5 <= gain.min() < 0.8
    assert 1.2 < gain.max() <= 1.5


def test_gamma_keeps_the_order_of_greys_and_both_ends():
    ramps = np.tile(np.linspace(0, 1, 33, dtype=np.float32), (64, 2, 1))[..., np.newaxis]
    found = varied(ramps, gamma=0.5)
    assert (np.diff(found[:, 0, :, 0]) > 0).all()
    assert not found[:, :, 0].any()
    assert found[:, :, -1] == pytest.approx(1)
    exponents = np.log(found[:, 0, 16, 0]) / np.log(0.5)
    assert 0.606 < exponents.min() < 0.7  # exp(-0.5)
    assert 1.4 < exponents.max() < 1.649  # exp(0.5)


def test_a_blur_smooths_and_leaves_evenness_even_to_the_edge(noise):
    rough = noise.random((16, 64, 64, 1), np.float32)
    assert (roughness(varied(rough, blur=1.0)) < 0.7 * roughness(rough)).all()
    even = np.full((4, 32, 32, 1), 0.5, np.float32)
    assert varied(even, blur=1.0) == pytest.approx(0.5, abs=1e-6)


def test_a_blur_is_the_gaussian_filter_of_scipy(noise):
    (found,) = varied(noise.random((1, 64, 64, 1), np.float32), blur=1.0)
    rough = np.random.default_rng(20260101).random((64, 64), np.float32)
    nearest = min(
        abs(gaussian_filter(rough, width, radius=4, mode="reflect") - found[..., 0]).max()
        for width in np.arange(0.5, 2, 0.005)
    )
    assert nearest < 0.01


def test_sharpening_makes_rougher(greys):
    middling = 0.4 + 0.2 * greys
    assert (roughness(varied(middling, sharpness=1.0)) > roughness(middling)).all()


def test_noise_has_at_most_its_deviation_and_no_two_fields_are_alike():
    even = np.full((64, 33, 32, 1), 0.5, np.float32)
    found = varied(even, noise=0.1)[..., 0] - 0.5
    spread = found.std(axis=(1, 2))
    assert kurtosis(found / spread[:, None, None], axis=None) == pytest.approx(0, abs=0.1)
    assert spread.max() == pytest.approx(0.1, rel=0.1)
    assert spread.min() < 0.02
    assert abs(found.mean()) < 0.001
    loud = found[spread > 0.02].reshape(-1, 33 * 32)
    assert abs(np.corrcoef(loud) - np.eye(len(loud))).max() < 0.2


def test_jpeg_leaves_the_edges_of_its_blocks(noise):
    slopes = np.clip(np.linspace(0.2, 0.8, 64) + noise.normal(0, 0.03, (32, 64, 64)), 0, 1).astype(np.float32)
    found = varied(slopes[..., np.newaxis], jpeg=1.0)[..., 0]
    steps = abs(np.diff(found, n=2, axis=2)).mean(axis=(0, 1))  # of columns c, c + 1 and c + 2
    at_edges = (np.arange(62) % 8 == 6) | (np.arange(62) % 8 == 7)
    assert steps[at_edges].mean() > 1.1 * steps[~at_edges].mean()
    assert abs(found - slopes).max() < 0.3


@pytest.mark.parametrize("setting", ["blur", "sharpness", "jpeg"])
def test_a_share_of_images_changes_and_the_others_stay(greys, setting):
    many = np.concatenate([greys, greys[:, ::-1], greys[:, :, ::-1], 1 - greys])[:, :32, :32]
    changed = (varied(many, **{setting: 0.25}) != many).any(axis=(1, 2, 3))
    assert 12 <= changed.sum() <= 36  # of 96


@pytest.mark.parametrize("setting", ["blur", "sharpness", "jpeg"])
def test_a_batch_of_which_no_image_is_drawn_stays(greys, setting):
    assert np.array_equal(varied(greys[:2], **{setting: 1e-6}), greys[:2])


def test_mixup_mixes_pictures_and_labels_alike():
    """The pictures are even, of a grey that is the label."""
    values = np.linspace(0, 1, 32, dtype=np.float32)
    pictures = np.broadcast_to(values[:, np.newaxis, np.newaxis, np.newaxis], (32, 8, 8, 1)).copy()
    known = np.stack([values[:, np.newaxis], np.ones((32, 1), np.float32)], axis=-1)
    found, targets = mapped(Augment(mix="mixup", mix_alpha=1.0), pictures, known, batch_size=32)
    assert np.ptp(found, axis=(1, 2, 3)).max() == 0
    assert targets[:, 0, 0] == pytest.approx(found[:, 0, 0, 0], abs=1e-6)
    assert targets[:, 0, 1] == pytest.approx(1)
    assert np.mean(abs(targets[:, 0, 0] - values) > 0.01) > 0.8


def test_cutmix_gives_labels_the_share_of_the_area():
    pictures = np.zeros((32, 40, 20, 1), np.float32)
    pictures[::2] = 1
    known = np.stack([pictures[:, :1, 0, 0], np.ones((32, 1), np.float32)], axis=-1)
    found, targets = mapped(Augment(mix="cutmix", mix_alpha=1.0), pictures, known, batch_size=32)
    assert set(np.unique(found)) == {0, 1}
    assert targets[:, 0, 0] == pytest.approx(found.mean(axis=(1, 2, 3)), abs=1e-6)
    assert np.mean((targets[:, 0, 0] > 0.01) & (targets[:, 0, 0] < 0.99)) > 0.3
    changed = found != pictures
    boxes = changed.any(axis=2).sum(axis=(1, 2)) * changed.any(axis=1).sum(axis=(1, 2))
    assert np.array_equal(boxes, changed.sum(axis=(1, 2, 3)))


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_an_unknown_label_is_no_negative_when_mixed_and_costs_nothing(greys, mix):
    known = np.zeros((24, 2, 2), np.float32)
    known[::2] = [[1, 1], [1, 2]]  # every known label is positive; one finding weighs twice as much
    _, found = mapped(Augment(mix=mix, mix_alpha=1.0), greys, known, batch_size=24)
    label, weight = found[..., 0], found[..., 1]
    assert label[weight > 0] == pytest.approx(1)
    assert not label[weight == 0].any()
    assert weight[:, 1] == pytest.approx(2 * weight[:, 0])
    assert np.mean((weight[:, 0] > 0.01) & (weight[:, 0] < 0.99)) > 0.2


def test_labels_are_mixed_by_weight_and_share(greys):
    """A label of weight 3 against one of weight 1, checked against the share that the picture shows."""
    pictures = np.zeros((16, 8, 8, 1), np.float32)
    pictures[::2] = 1
    known = np.zeros((16, 1, 2), np.float32)
    known[::2], known[1::2] = [1, 3], [0, 1]
    found, targets = mapped(Augment(mix="mixup", mix_alpha=1.0), pictures, known)
    ones = found[:, 0, 0, 0]
    assert targets[:, 0, 1] == pytest.approx(3 * ones + (1 - ones), abs=1e-5)
    assert targets[:, 0, 0] == pytest.approx(3 * ones / (1 + 2 * ones), abs=1e-5)


def test_a_small_alpha_gives_numbers(greys, targets):
    found, found_targets = mapped(Augment(mix="mixup", mix_alpha=0.01), greys, targets)
    assert np.isfinite(found).all()
    assert np.isfinite(found_targets).all()


SOLITARY = """
import keras, numpy, tensorflow
from tests.pipelines.test_augmentation import EVERYTHING, mapped
tensorflow.config.experimental.enable_op_determinism()
keras.utils.set_random_seed(1)
keras.mixed_precision.set_global_policy("mixed_float16")
greys = numpy.random.default_rng(1).random((5, 32, 32, 1), numpy.float32)
found, _ = mapped(EVERYTHING, greys, numpy.ones((5, 2, 2), numpy.float32), batch_size=4)
assert found.dtype == numpy.float32 and (found != found.astype(numpy.float16)).any()
"""


def test_it_works_where_operations_are_deterministic_and_networks_compute_in_halves():
    """In a process of its own, for neither setting can be taken back."""
    subprocess.run([sys.executable, "-c", SOLITARY], check=True)
