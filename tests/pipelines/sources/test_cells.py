"""Cells that are filled in alike: views and ages; labels are tested with the sources that have them."""

import pytest

from pipelines.sources.cells import age_years, is_not_frontal, view_position


@pytest.mark.parametrize(
    ("text", "position"),
    [("pa", "PA"), (" AP ", "AP"), ("AP_SUPINE", "AP"), ("APS", "AP"), ("PA erect", "PA"), ("Frontal", None),
     ("APICAL", None), ("PARASAGITTAL", None), ("LL", None), ("", None)],
)  # fmt: skip
def test_a_view_is_pa_or_ap_by_its_first_word(text, position):
    assert view_position(text) == position


@pytest.mark.parametrize(
    ("text", "lateral"),
    [("L", True), ("Lateral", True), ("LL", True), ("RLO", True), ("LLD", True), ("coronal", True),
     ("PA", False), ("Frontal", False), ("CHEST", False), ("", False)],
)  # fmt: skip
def test_only_a_view_that_is_known_not_to_be_frontal_counts_as_that(text, lateral):
    assert is_not_frontal(text) is lateral


@pytest.mark.parametrize(
    ("text", "years"),
    [("045Y", 45.0), ("018M", 1.5), ("026W", pytest.approx(0.498, abs=0.001)), ("073D", pytest.approx(0.2, abs=0.001)),
     ("45yrs", 45.0), ("6 months", 0.5), ("45", None), ("", None), ("unknown", None)],
)  # fmt: skip
def test_an_age_needs_its_unit(text, years):
    assert age_years(text) == years
