"""Training images vary within the settings, by seed, and the heart stays on its side."""

import numpy as np
import pytest

from pipelines.augmentation import augmentation


def varied(settings, batch):
    return augmentation(settings)(batch, training=True).numpy()


@pytest.fixture
def batch(noise):
    return noise.random((16, 64, 64, 1), np.float32)


@pytest.fixture
def settings(params):
    """Every kind of variation, whatever params.yaml asks for."""
    return params.train.model_copy(update={"rotation_degrees": 10.0, "zoom": 0.1, "shift": 0.1, "contrast": 0.2})


def test_values_stay_in_range_and_images_keep_their_shape(settings, batch):
    strong = settings.model_copy(update={"contrast": 0.9, "rotation_degrees": 30.0})
    found = varied(strong, batch)
    assert found.shape == batch.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


def test_the_same_seed_varies_alike(settings, batch):
    first = varied(settings, batch)
    assert np.array_equal(varied(settings, batch), first)
    other = varied(settings.model_copy(update={"seed": settings.seed + 1}), batch)
    assert not np.array_equal(other, first)
    assert not np.array_equal(first, batch)


def test_images_of_a_batch_vary_differently(settings, batch):
    alike = np.repeat(batch[:1], 8, axis=0)
    found = varied(settings, alike)
    assert len({image.tobytes() for image in found}) == 8


def test_outside_training_nothing_varies(settings, batch):
    assert np.array_equal(augmentation(settings)(batch, training=False).numpy(), batch)


def test_settings_of_nought_change_nothing(settings, batch):
    still = {"rotation_degrees": 0.0, "zoom": 0.0, "shift": 0.0, "contrast": 0.0}
    assert varied(settings.model_copy(update=still), batch) == pytest.approx(batch, abs=1e-5)


def test_images_are_never_mirrored(settings):
    """A bright spot on one side stays there, however often the image is varied."""
    images = np.zeros((300, 64, 64, 1), np.float32)
    images[:, 28:36, 8:16] = 1
    found = varied(settings, images)
    columns = (found.sum(axis=(1, 3)) * np.arange(64)).sum(axis=1) / found.sum(axis=(1, 2, 3))
    assert columns.max() < 32
    assert columns.std() > 1
