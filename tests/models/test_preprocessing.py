"""From grey to model input: the size, the range and the scale that the weights want, the same each time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from models.preprocessing import Preprocessor
from models.radiograph import Radiograph

PREPROCESSOR = Preprocessor(height_px=24, width_px=32, channels=3, scale=2.0, offset=-1.0)
CROPPING = PREPROCESSOR.model_copy(update={"crop_borders": True})
EQUALISING = PREPROCESSOR.model_copy(update={"tone": "equalised"})


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


def framed(picture, top=0, right=0, bottom=0, left=0, grey=0):
    """The picture with flat borders, px."""
    return Radiograph(np.pad(picture, ((top, bottom), (left, right)), constant_values=grey))


@pytest.mark.parametrize("grey", [0, 90, 255])
@pytest.mark.parametrize(
    "borders", [{"top": 20}, {"left": 7, "right": 30}, {"top": 3, "right": 4, "bottom": 5, "left": 6}]
)
def test_flat_borders_are_cut_off_to_the_pixel_and_leave_no_trace(borders, grey, noise):
    picture = noise.integers(0, 256, (120, 100), np.uint8)
    radiograph = framed(picture, **borders, grey=grey)
    left, top = borders.get("left", 0), borders.get("top", 0)
    assert CROPPING.region(radiograph) == (left, top, left + 100, top + 120)
    assert np.array_equal(CROPPING.grey(radiograph), CROPPING.grey(Radiograph(picture)))


def test_without_the_setting_borders_are_seen(noise):
    radiograph = framed(noise.integers(0, 256, (120, 100), np.uint8), top=20)
    assert PREPROCESSOR.region(radiograph) == (0, 0, 100, 140)
    assert (PREPROCESSOR.grey(radiograph)[0] == 0).all()


def test_a_border_with_a_marker_or_a_little_noise_is_flat(noise):
    levels = framed(noise.integers(0, 256, (120, 100), np.uint8), top=30).levels.copy()
    levels[:30] += noise.integers(0, 14, (30, 100), np.uint8)  # 13 of 255 are less than 6 %
    levels[10:15, 80] = 255  # one of 100 columns
    assert CROPPING.region(Radiograph(levels)) == (0, 30, 100, 150)


def test_a_large_radiograph_is_cut_to_within_the_steps_it_is_looked_at_in(noise):
    # The smaller side has 4 times 256 px: every fourth row and column is looked at.
    radiograph = framed(noise.integers(0, 65536, (1100, 930), np.uint16), top=202, left=94)
    left, top, right, bottom = CROPPING.region(radiograph)
    assert (right, bottom) == (1024, 1302)
    assert 94 <= left < 98
    assert 202 <= top < 206


def test_at_most_three_tenths_are_cut_off_at_a_side(noise):
    radiograph = framed(noise.integers(0, 256, (50, 100), np.uint8), top=150)
    assert CROPPING.region(radiograph) == (0, 60, 100, 200)


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("tone", ["as_is", "equalised"])
def test_a_flat_radiograph_stays_whole_and_flat(grey, tone):
    preprocessor = CROPPING.model_copy(update={"tone": tone})
    assert preprocessor.region(flat(grey)) == (0, 0, 50, 40)
    expected = 0.5 if tone == "equalised" else grey / 255  # half of the equal ones are counted
    np.testing.assert_allclose(preprocessor.grey(flat(grey)), np.full((24, 32), expected), atol=1e-5)


def test_an_equalised_grey_is_the_share_of_darker_pixels_and_half_of_the_equal_ones(noise):
    levels = noise.integers(0, 256, (24, 32), np.uint8)
    expected = (rankdata(levels) - 0.5).reshape(24, 32) / levels.size
    np.testing.assert_allclose(EQUALISING.grey(Radiograph(levels)), expected, atol=1e-6)


CURVES = {
    "gamma 0.5": lambda grey: grey**0.5,
    "gamma 2": lambda grey: grey**2,
    "half the exposure": lambda grey: grey / 2,
    "a narrow window": lambda grey: 0.3 + 0.4 * grey,
    "an S curve": lambda grey: 0.5 - 0.5 * np.cos(np.pi * grey),
}


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_equalised_greys_do_not_tell_the_contrast_curve(curve, noise):
    smooth = gaussian_filter(noise.random((240, 320)), 8)
    grey = (smooth - smooth.min()) / np.ptp(smooth)
    plain, changed = (Radiograph(np.round(values * 65535).astype(np.uint16)) for values in (grey, curve(grey)))
    halving = Preprocessor(height_px=120, width_px=160)
    assert np.abs(halving.grey(plain) - halving.grey(changed)).max() > 0.09
    equalising = halving.model_copy(update={"tone": "equalised"})
    assert np.abs(equalising.grey(plain) - equalising.grey(changed)).max() < 0.01


def test_settings_survive_json_with_their_digest():
    arrived = Preprocessor.model_validate_json(PREPROCESSOR.model_dump_json())
    assert arrived == PREPROCESSOR
    assert arrived.digest() == PREPROCESSOR.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"height_px": 25},
        {"width_px": 33},
        {"channels": 1},
        {"scale": 2.5},
        {"offset": 0.0},
        {"crop_borders": True},
        {"tone": "equalised"},
    ],
)
def test_other_settings_have_another_digest(change):
    assert PREPROCESSOR.model_copy(update=change).digest() != PREPROCESSOR.digest()


def test_a_digest_names_its_hash():
    # printf '{"height_px":8,"width_px":8,"channels":3,"scale":1.0,"offset":0.0,"crop_borders":false,"tone":"as_is"}' |
    # sha256sum
    assert (
        Preprocessor(height_px=8, width_px=8).digest()
        == "sha256:0b9478ad16d82ba5e1a0e308cf30fb49effc36ca8e6e3874a11b40e8c93180ca"
    )


@pytest.mark.parametrize(
    "wrong",
    [{"height_px": 0}, {"width_px": -1}, {"channels": 0}, {"crop": True}, {"scale": "x"}, {"tone": "inverted"}],
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValidationError):
        Preprocessor.model_validate({"height_px": 8, "width_px": 8} | wrong)


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        PREPROCESSOR.scale = 1.0
