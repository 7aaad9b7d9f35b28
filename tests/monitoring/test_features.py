"""Appearance of small pictures against what a pencil gives."""

import numpy as np
import pytest

from models.radiograph import Radiograph
from monitoring.features import appearance


def looks(rows):
    """Of greys in [0, 1]; multiples of 0.2 are levels of 16 bits, exactly."""
    return appearance(Radiograph(np.rint(np.asarray(rows) * 65535).astype(np.uint16)))


def test_a_flat_picture_has_its_grey_everywhere_and_no_spread():
    assert looks(np.full((40, 60), 0.2)) == pytest.approx(
        {
            "mean": 0.2,
            "std": 0.0,
            "p01": 0.2,
            "p50": 0.2,
            "p99": 0.2,
            "sharpness": 0.0,
            "border": 0.2,
            "aspect": 1.5,
            "height_px": 40.0,
            "width_px": 60.0,
        },
        abs=1e-6,
    )


def test_mean_and_spread_are_those_of_the_grey_values():
    found = looks([[0.0, 0.4, 0.8], [0.0, 0.4, 0.8], [0.0, 0.4, 0.8]])
    assert found["mean"] == pytest.approx(0.4)
    assert found["std"] == pytest.approx(0.4 * (2 / 3) ** 0.5)  # three of nine 0.4 below, three 0.4 above


def test_quantiles_leave_out_the_darkest_and_the_brightest_hundredth():
    # 101 grey levels 0, 0.01, ..., 1: the quantile q is the grey level q itself.
    found = looks(np.repeat(np.linspace(0, 1, 101)[np.newaxis], 3, axis=0))
    assert (found["p01"], found["p50"], found["p99"]) == pytest.approx((0.01, 0.5, 0.99), abs=0.005)


def test_the_border_is_the_outermost_twentieth_of_the_shorter_side():
    picture = np.zeros((40, 80))
    picture[2:-2, 2:-2] = 0.4  # a twentieth of 40 px is 2 px
    assert looks(picture)["border"] == 0.0
    picture[1, 1:-1] = 1.0  # 78 of the frame's 40 x 80 - 36 x 76 = 464 pixels
    assert looks(picture)["border"] == pytest.approx(78 / 464)


def test_the_border_of_a_small_picture_is_one_pixel():
    assert looks([[0.6, 0.6, 0.6], [0.6, 0.0, 0.6], [0.6, 0.6, 0.6]])["border"] == pytest.approx(0.6)


def test_sharpness_is_the_spread_of_the_laplacian_over_that_of_the_greys():
    # Columns 0, 1, 0 with mirrored edges: the Laplacian is 1, -2, 1 in each row, so its deviation is sqrt(2);
    # the greys deviate by sqrt(2) / 3.
    assert looks([[0, 1, 0], [0, 1, 0], [0, 1, 0]])["sharpness"] == pytest.approx(3)


def test_a_blurred_edge_is_less_sharp_and_contrast_does_not_matter():
    sharp = np.tile([0.0] * 8 + [1.0] * 8, (16, 1))
    blurred = np.tile([0.0] * 6 + [0.2, 0.4, 0.6, 0.8] + [1.0] * 6, (16, 1))
    assert looks(blurred)["sharpness"] < looks(sharp)["sharpness"]
    assert looks(sharp / 2)["sharpness"] == pytest.approx(looks(sharp)["sharpness"])


def test_a_large_picture_is_summed_without_losing_its_last_digits():
    picture = np.full((3000, 3000), 0.2)
    assert looks(picture)["mean"] == pytest.approx(0.2, abs=1e-6)
    assert looks(picture)["border"] == pytest.approx(0.2, abs=1e-6)


def test_every_number_is_a_plain_finite_float(noise):
    found = looks(noise.random((64, 48)))
    assert {type(value) for value in found.values()} == {float}
    assert np.isfinite(list(found.values())).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2)])
def test_a_picture_that_is_all_border_has_its_mean_as_border(shape):
    assert looks(np.full(shape, 0.6))["border"] == pytest.approx(0.6)
