"""The size that weights want, by the filter that Pillow has for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.radiograph import Radiograph
from models.resizing import resized


def by_pillow(levels, height_px, width_px):
    picture = Image.fromarray(Radiograph(levels).pixels)
    return np.asarray(picture.resize((width_px, height_px), Image.Resampling.BILINEAR))


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 2**32 - 1),
)
def test_any_size_becomes_any_other_as_by_pillow(shape, wanted, kind, seed):
    levels = np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, shape).astype(kind)
    grey = resized(levels, *wanted)
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, by_pillow(levels, *wanted), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(1024, 1024), (2991, 2430)])
def test_sizes_as_they_come_from_hospitals(shape, noise):
    levels = noise.integers(0, 65536, shape, np.uint16)
    np.testing.assert_allclose(resized(levels, 224, 224), by_pillow(levels, 224, 224), rtol=0, atol=1e-6)


def test_what_lies_around_a_part_does_not_show_in_it(noise):
    levels = noise.integers(0, 256, (90, 80), np.uint8)
    part = levels[10:70, 20:75]
    assert np.array_equal(resized(part, 24, 24), resized(part.copy(), 24, 24))


def test_the_size_that_it_has_changes_nothing(noise):
    levels = noise.integers(0, 65536, (24, 32), np.uint16)
    assert np.array_equal(resized(levels, 24, 32), Radiograph(levels).pixels)
