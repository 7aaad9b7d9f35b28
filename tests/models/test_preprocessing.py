"""From grey to model input: the size, the range and the scale that the weights want, the same each time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.preprocessing import Preprocessor
from models.radiograph import Radiograph

PREPROCESSOR = Preprocessor(height_px=24, width_px=32, channels=3, scale=2.0, offset=-1.0)


def flat(grey, height=40, width=50):
    return Radiograph(np.full((height, width), grey, np.uint8))


@settings(max_examples=50, deadline=None)
@given(st.integers(32, 90), st.integers(32, 90), st.integers(0, 2**32 - 1))
def test_any_radiograph_becomes_the_same_input_of_the_right_shape_and_range(height, width, seed):
    levels = np.random.default_rng(seed).integers(0, 65536, (height, width)).astype(np.uint16)
    model_input = PREPROCESSOR(Radiograph(levels))
    assert model_input.shape == PREPROCESSOR.image_shape == (24, 32, 3)
    assert model_input.dtype == np.float32
    assert -1 <= model_input.min() < model_input.max() <= 1
    assert np.array_equal(model_input, PREPROCESSOR(Radiograph(levels.copy())))


@pytest.mark.parametrize(
    ("scale", "offset", "grey", "expected"),
    [
        (1.0, 0.0, 51, 0.2),  # 51 / 255
        (2.0, -1.0, 51, -0.6),
        (255.0, 0.0, 255, 255.0),
        (255 / 128, -127 / 128, 0, -0.9921875),  # (0 - 127) / 128
        (255 / 128, -127 / 128, 255, 1.0),  # (255 - 127) / 128
    ],
)
def test_model_input_is_grey_times_scale_plus_offset(scale, offset, grey, expected):
    preprocessor = Preprocessor(height_px=8, width_px=8, scale=scale, offset=offset)
    np.testing.assert_allclose(preprocessor(flat(grey)), np.full((8, 8, 3), expected), rtol=1e-6)


def test_the_grey_channel_is_repeated():
    radiograph = Radiograph(np.linspace(0, 65535, 40 * 50).astype(np.uint16).reshape(40, 50))
    one, three = (Preprocessor(height_px=8, width_px=8, channels=n)(radiograph) for n in (1, 3))
    assert np.array_equal(three, np.concatenate([one] * 3, axis=-1))


def test_a_radiograph_of_the_right_size_is_unchanged():
    radiograph = Radiograph(np.linspace(0, 65535, 24 * 32).astype(np.uint16).reshape(24, 32))
    assert np.array_equal(PREPROCESSOR.grey(radiograph), radiograph.pixels)


def test_halving_takes_the_antialiasing_triangle():
    # Halved, the triangle is 4 pixels wide and weighs them 1, 3, 3, 1; a step between columns 3 and 4 of 8 becomes
    # 0 | 1 of 8 | 7 of 8 | 1: columns 1..4 of the second pixel and 3..6 of the third.
    step = np.zeros((8, 8), np.uint8)
    step[:, 4:] = 255
    halved = Preprocessor(height_px=4, width_px=4).grey(Radiograph(step))
    np.testing.assert_allclose(halved, [[0, 0.125, 0.875, 1]] * 4, atol=1e-6)


def test_settings_survive_json_with_their_digest():
    arrived = Preprocessor.model_validate_json(PREPROCESSOR.model_dump_json())
    assert arrived == PREPROCESSOR
    assert arrived.digest() == PREPROCESSOR.digest()


@pytest.mark.parametrize(
    "change", [{"height_px": 25}, {"width_px": 33}, {"channels": 1}, {"scale": 2.5}, {"offset": 0.0}]
)
def test_other_settings_have_another_digest(change):
    assert PREPROCESSOR.model_copy(update=change).digest() != PREPROCESSOR.digest()


def test_a_digest_names_its_hash():
    # printf '{"height_px":8,"width_px":8,"channels":3,"scale":1.0,"offset":0.0}' | sha256sum
    assert (
        Preprocessor(height_px=8, width_px=8).digest()
        == "sha256:16dc4a4e3fc24a5ff4b5e5a439d4b0399ed5d7ae2ce523a8f0c0b80af6a17276"
    )


@pytest.mark.parametrize("wrong", [{"height_px": 0}, {"width_px": -1}, {"channels": 0}, {"crop": True}, {"scale": "x"}])
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValidationError):
        Preprocessor.model_validate({"height_px": 8, "width_px": 8} | wrong)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        PREPROCESSOR.scale = 1.0
