"""Where figures stand on a drawing."""

import numpy as np
import pytest

from pipelines.evaluate.charts import Axis, axis_of, curve, end_of


def estimate(value, low, high):
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("lowest", "begins", "ticks"),
    [
        (0.71, 0.5, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (0.45, 0.4, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (0.02, 0.0, [0.0, 0.5, 1.0]),
    ],
)
def test_an_axis_begins_at_one_half_or_where_the_lowest_interval_does(lowest, begins, ticks):
    axis = axis_of([estimate(0.9, lowest, 0.95), estimate(None, None, None)], 200.0)
    assert (axis.low, axis.ticks) == (begins, ticks)


def test_an_axis_of_nothing_is_the_shortest():
    assert axis_of([], 200.0) == Axis(0.5, 200.0)


def test_places_are_in_proportion_and_stay_on_the_axis():
    assert [Axis(0.5, 200.0).at(value) for value in (0.5, 0.75, 1.0, 0.3)] == [0.0, 100.0, 200.0, 0.0]


def test_a_curve_rises_upwards_and_keeps_its_ends_when_it_is_thinned():
    assert curve([0.0, 0.5, 1.0], [0.0, 0.8, 1.0], 100.0) == [(0.0, 100.0), (50.0, 20.0), (100.0, 0.0)]
    long = np.linspace(0, 1, 5000).tolist()
    thinned = curve(long, long, 100.0)
    assert len(thinned) == 120
    assert (thinned[0], thinned[-1]) == ((0.0, 100.0), (100.0, 0.0))


def test_small_values_fill_a_square_of_their_own():
    end = end_of([0.03, 0.17])
    assert end == 0.2
    assert curve([0.1], [0.2], 100.0, end) == [(50.0, 0.0)]
    assert end_of([0.0]) == 0.1
