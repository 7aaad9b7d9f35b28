"""What is written fast is a PNG all the same."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from models.png import rgb_png


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (256, 1), (120, 77), (700, 600), (3, 90_000)])
def test_another_reader_sees_the_same_colours(noise, shape):
    colours = noise.integers(0, 256, (*shape, 3), np.uint8)
    with Image.open(BytesIO(rgb_png(colours))) as picture:
        picture.verify()
    with Image.open(BytesIO(rgb_png(colours))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", shape[::-1])
        assert (np.asarray(picture) == colours).all()


@pytest.mark.parametrize("widths", [(40, 360), (360, 40), (30_000, 50)])
def test_pictures_stand_one_below_the_other(noise, widths):
    upper, lower = (noise.integers(1, 256, (50, width, 3), np.uint8) for width in widths)
    with Image.open(BytesIO(rgb_png(upper, lower))) as picture:
        colours = np.asarray(picture)
    assert colours.shape == (100, max(widths), 3)
    for half, part in ((colours[:50], upper), (colours[50:], lower)):
        assert (half[:, : part.shape[1]] == part).all()
        assert not half[:, part.shape[1] :].any()
