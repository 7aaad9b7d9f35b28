from io import BytesIO

import numpy as np
from PIL import Image

from models.radiograph import Radiograph
from serving.page.picture import LONG_SIDE_PX, picture


def shown(radiograph):
    with Image.open(BytesIO(picture(radiograph))) as image:
        assert image.mode == "L"
        return np.asarray(image)


def test_a_small_radiograph_is_shown_as_it_is(noise):
    levels = noise.integers(0, 256, (80, 60), np.uint8)
    assert np.array_equal(shown(Radiograph(levels)), levels)


def test_sixteen_bits_become_eight(noise):
    levels = noise.integers(0, 256, (80, 60), np.uint8)
    assert np.array_equal(shown(Radiograph(levels * np.uint16(257))), levels)


def test_a_large_radiograph_keeps_its_proportions(chest):
    height, width = shown(chest).shape
    assert max(height, width) == LONG_SIDE_PX
    assert abs(height / width - chest.levels.shape[0] / chest.levels.shape[1]) < 0.002
