"""Levels are kept as the file has them; pixels are made of them, the same for 8 bits and for 16."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from models.radiograph import Radiograph, RadiographTags


@pytest.mark.parametrize(("kind", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_black_is_0_and_white_is_1(kind, white):
    pixels = Radiograph(np.array([[0, white]], kind)).pixels
    assert pixels.dtype == np.float32
    assert pixels.tolist() == [[0.0, 1.0]]


def test_a_level_of_8_bits_and_its_twin_of_16_are_one_grey():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    twins = levels.astype(np.uint16) * np.uint16(257)
    assert Radiograph(levels).pixels.tobytes() == Radiograph(twins).pixels.tobytes()


def test_each_level_of_16_bits_has_a_grey_of_its_own():
    pixels = Radiograph(np.arange(65536, dtype=np.uint16).reshape(256, 256)).pixels
    assert (np.diff(pixels.ravel()) > 0).all()
    assert pixels.ravel()[13107] == np.float32(0.2)  # 13107 / 65535


def test_pixels_are_made_anew_and_change_nothing():
    radiograph = Radiograph(np.full((2, 3), 7, np.uint8))
    radiograph.pixels[:] = 0.5
    assert radiograph.levels.tolist() == [[7, 7, 7]] * 2
    assert np.array_equal(radiograph.pixels, np.full((2, 3), 7 / 255, np.float32))


def test_nothing_is_known_unless_it_is_said():
    assert Radiograph(np.zeros((1, 1), np.uint8)).tags == RadiographTags(None, None, None, None, None, None)
    with pytest.raises(FrozenInstanceError):
        Radiograph(np.zeros((1, 1), np.uint8)).levels = np.ones((1, 1), np.uint8)
