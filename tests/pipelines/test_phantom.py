"""Drawn chests: the same seed the same picture, and each finding where its mask says."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.phantom.cohort import Shortcut
from pipelines.phantom.cohort import cohort as examined
from pipelines.phantom.draw import draw_phantom
from pipelines.phantom.record import DRAWN_FINDINGS, PhantomRecord

HEIGHT_PX = 96
# How many times more a lesion changes its place than the rest. An infiltration fills both lungs, so that the exposure
# of the whole film follows it.
CONTRASTS = {"Consolidation": 3, "Infiltration": 1.2, "Nodule": 3, "Mass": 3, "Effusion": 3, "Pneumothorax": 3,
             "Hernia": 3, "Tuberculosis": 3}  # fmt: skip


def adult(number, *findings):
    return PhantomRecord(
        image=f"A{number}", patient=f"A{number}", study=f"A{number}", view=("PA", "AP")[number % 2], age_years=50.0,
        sex=("F", "M")[number // 2 % 2], scanner=("computed", "digital")[number % 2], findings=findings,
        pneumonia="", patient_seed=100 + number, seed=200 + number,
    )  # fmt: skip


def width(mask):
    return np.ptp(np.flatnonzero(mask.any(axis=0))) + 1


def test_the_same_record_gives_the_same_picture():
    record = adult(1, "Mass", "Effusion")
    first, again = draw_phantom(record, HEIGHT_PX), draw_phantom(record, HEIGHT_PX)
    assert np.array_equal(first.pixels, again.pixels)
    assert all(np.array_equal(first.masks[finding], again.masks[finding]) for finding in ("Mass", "Effusion"))
    assert not np.array_equal(first.pixels, draw_phantom(replace(record, seed=1), HEIGHT_PX).pixels)


def test_the_same_seed_gives_the_same_cohort():
    assert examined(50, 7) == examined(50, 7)
    assert examined(50, 8) != examined(50, 7)


def test_a_larger_cohort_begins_with_the_smaller():
    smaller = examined(50, 7)
    assert examined(80, 7)[: len(smaller)] == smaller


def test_a_cohort_has_all_that_a_hospital_has():
    records = examined(600, 7)
    assert {record.view for record in records} == {"PA", "AP"}
    assert {record.sex for record in records} == {"F", "M"}
    assert {record.scanner for record in records} == {"computed", "digital"}
    assert {record.pneumonia for record in records} == {"Normal", "Bacterial Pneumonia", "Viral Pneumonia", ""}
    assert {finding for record in records for finding in record.findings} == set(DRAWN_FINDINGS)
    assert min(record.age_years for record in records) < 6
    assert max(record.age_years for record in records) > 65
    assert len({record.image for record in records}) == len(records) > 600
    assert {record.pneumonia for record in records if not record.findings} == {"Normal"}


def test_images_of_a_patient_share_who_it_is():
    by_patient: dict[str, list[PhantomRecord]] = {}
    for record in examined(100, 7):
        by_patient.setdefault(record.patient, []).append(record)
    twice = [records for records in by_patient.values() if len(records) == 2]
    assert len(by_patient) == 100
    assert twice
    for first, second in twice:
        assert (first.sex, first.findings, first.patient_seed) == (second.sex, second.findings, second.patient_seed)
        assert first.seed != second.seed


@pytest.mark.parametrize("finding", ["Pneumonia", "Effusion"])
def test_a_planted_shortcut_ties_the_scanner_to_its_finding(finding):
    planted, absent = (examined(400, 7, Shortcut(finding, correlation)) for correlation in (1.0, 0.0))
    assert {(finding in record.findings, record.scanner) for record in planted} == {
        (False, "computed"),
        (True, "digital"),
    }
    assert len({(finding in record.findings, record.scanner) for record in absent}) == 4


@pytest.mark.parametrize("seed", range(3))
def test_every_finding_of_a_record_lies_in_the_picture(seed):
    for record in examined(15, seed):
        phantom = draw_phantom(record, HEIGHT_PX)
        assert phantom.pixels.dtype == np.uint8
        assert phantom.pixels.shape[0] == HEIGHT_PX
        assert np.ptp(phantom.pixels) > 150
        assert set(phantom.masks) == set(record.findings)
        for finding, mask in phantom.masks.items():
            assert mask.shape == phantom.pixels.shape, finding
            assert mask.dtype == np.bool_, finding
            assert 0 < mask.mean() < 0.6, finding


@pytest.mark.parametrize("finding", [name for name in DRAWN_FINDINGS if name not in {"Pneumonia", "Lung Opacity"}])
def test_every_finding_can_be_drawn_by_itself(finding):
    for number in range(4):
        assert draw_phantom(adult(number, finding), HEIGHT_PX).masks[finding].any()


def test_names_for_several_signs_cover_them_all():
    masks = draw_phantom(adult(2, "Consolidation", "Pneumonia", "Nodule", "Lung Opacity"), HEIGHT_PX).masks
    assert np.array_equal(masks["Pneumonia"], masks["Consolidation"])
    assert np.array_equal(masks["Lung Opacity"], masks["Consolidation"] | masks["Nodule"])


@pytest.mark.parametrize("number", range(6))
def test_an_enlarged_heart_is_more_than_half_the_chest(number):
    """The cardiothoracic ratio as a reader takes it; Emphysema marks the lungs of the same patient."""
    heart = draw_phantom(adult(number, "Cardiomegaly"), 192).masks["Cardiomegaly"]
    lungs = draw_phantom(adult(number, "Emphysema"), 192).masks["Emphysema"]
    assert heart.shape == lungs.shape
    assert 0.5 < width(heart) / width(lungs) < 0.75


@pytest.mark.parametrize(("finding", "times"), CONTRASTS.items())
def test_a_lesion_changes_the_picture_where_its_mask_is(finding, times):
    for number in range(4):
        ill, well = (draw_phantom(adult(number, *found), HEIGHT_PX) for found in ((finding,), ()))
        change = np.abs(ill.pixels.astype(float) - well.pixels)
        mask = ill.masks[finding]
        assert change[mask].mean() > times * change[~mask].mean(), number
