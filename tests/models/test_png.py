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
