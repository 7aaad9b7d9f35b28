"""Boxes in pixels become shares of the image."""

import math

import pytest

from pipelines.sources.boxes import box_in_shares
from pipelines.sources.source import Box


def test_pixels_become_shares():
    assert box_in_shares("Mass", (256.0, 128.0, 512.0, 64.0), 1024) == Box("Mass", 0.25, 0.125, 0.5, 0.0625)


def test_what_reaches_over_the_edge_is_cut_off():
    assert box_in_shares("Mass", (-100.0, 50.0, 150.0, 100.0), 100) == Box("Mass", 0.0, 0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "pixels",
    [
        (10.0, 10.0, None, 10.0),
        (10.0, 10.0, 0.0, 10.0),
        (10.0, 10.0, 10.0, -5.0),
        (100.0, 10.0, 10.0, 10.0),
        (-20.0, 10.0, 10.0, 10.0),
        (math.nan, 10.0, 10.0, 10.0),
        (10.0, 10.0, 10.0, math.nan),
    ],
)
def test_a_box_without_an_inside_is_none(pixels):
    assert box_in_shares("Mass", pixels, 100) is None
