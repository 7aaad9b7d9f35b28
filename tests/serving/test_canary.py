"""Which studies a canary takes, and what stops it."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from serving.canary import Guard, Outcome, Stop, read_stop, takes, write_stop
from serving.lineup import Canary, Standing, lineup_path
from serving.schemas import ModelDescription
from serving.settings import Settings


def canary(percent, digest="sha256:" + "0" * 64, since=7):
    description = ModelDescription(
        name="pneumonia",
        version="2",
        aliases=["canary"],
        digest=digest,
        findings=[],
        age_group="any",
        confounded=[],
        metrics={},
        card="",
    )
    return Canary(standing=Standing(alias="canary", description=description), percent=percent, since=since)


@pytest.fixture(scope="module")
def instance(chest_dicom):
    """Makes a small DICOM file of a study."""
    dataset = dcmread(chest_dicom, stop_before_pixels=True)

    def make(study, number=1, **elements):
        dataset.StudyInstanceUID, dataset.InstanceNumber = study, number
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        file = BytesIO()
        dataset.save_as(file)
        return file.getvalue()

    return make


def test_every_file_of_a_study_goes_the_same_way(instance):
    for study in (generate_uid(entropy_srcs=[str(number)]) for number in range(40)):
        ways = {takes(canary(50), instance(study, number)) for number in range(3)}
        assert len(ways) == 1


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("preamble", [True, False])
def test_a_study_is_known_in_every_encoding(instance, syntax, preamble):
    for number in range(20):
        study = generate_uid(entropy_srcs=[str(number)])
        dataset = dcmread(BytesIO(instance(study)))
        file = BytesIO()
        if preamble:
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.save_as(file)
        else:
            bare = Dataset({element.tag: element for element in dataset})
            bare.save_as(file, implicit_vr=syntax.is_implicit_VR, little_endian=True, enforce_file_format=False)
        assert takes(canary(50), file.getvalue()) == takes(canary(50), instance(study))


def test_its_share_of_the_studies_is_what_was_said(instance):
    taken = [takes(canary(25), instance(generate_uid(entropy_srcs=[str(number)]))) for number in range(1_000)]
    assert np.mean(taken) == pytest.approx(0.25, abs=3 * (0.25 * 0.75 / 1_000) ** 0.5)


def test_who_was_taken_stays_taken_when_there_is_more_of_it(instance):
    studies = [instance(generate_uid(entropy_srcs=[str(number)])) for number in range(200)]
    before, after = ({number for number, data in enumerate(studies) if takes(canary(p), data)} for p in (10, 40))
    assert before < after


def test_another_canary_takes_other_studies(instance):
    studies = [instance(generate_uid(entropy_srcs=[str(number)])) for number in range(200)]
    one, other = ([takes(canary(50, digest), data) for data in studies] for digest in ("sha256:a", "sha256:b"))
    assert 0.3 < np.mean(np.equal(one, other)) < 0.7


@given(st.binary(max_size=300), st.booleans())
def test_bytes_of_any_kind_go_one_way_each(data, as_dicom):
    file = bytes(128) + b"DICM" + data if as_dicom else data
    assert takes(canary(50), file) == takes(canary(50), file)


def test_pictures_without_a_study_are_shared_out_too():
    taken = [takes(canary(25), number.to_bytes(4)) for number in range(1_000)]
    assert np.mean(taken) == pytest.approx(0.25, abs=0.05)


def guard(**settings):
    return Guard(Settings(**settings))


def fill(watching, answers, seconds, of_canary, failed=0):
    for number in range(answers):
        watching.add(Outcome(of_canary, number < failed, seconds))


def test_one_that_does_as_well_goes_on():
    watching = guard()
    fill(watching, 500, 0.1, of_canary=False)
    fill(watching, 500, 0.15, of_canary=True)
    assert watching.verdict() is None


def test_one_that_fails_is_stopped_after_three_answers():
    watching = guard()
    fill(watching, 20, 0.1, of_canary=False)
    fill(watching, 2, 0.1, of_canary=True, failed=2)
    assert watching.verdict() is None
    fill(watching, 1, 0.1, of_canary=True, failed=1)
    assert watching.verdict() == "3 of its last 3 answers failed, of production's 0 of 20"


def test_failures_that_production_has_too_do_not_stop_it():
    watching = guard()
    fill(watching, 100, 0.1, of_canary=False, failed=10)
    fill(watching, 100, 0.1, of_canary=True, failed=11)
    assert watching.verdict() is None


def test_failures_within_what_is_allowed_do_not_stop_it():
    watching = guard(canary_max_failures=0.1)
    fill(watching, 100, 0.1, of_canary=False)
    fill(watching, 100, 0.1, of_canary=True, failed=9)
    assert watching.verdict() is None


def test_a_bad_hour_of_both_is_not_held_against_it_later():
    watching = guard()
    for _ in range(5_000):
        fill(watching, 9, 0.1, of_canary=False)
        fill(watching, 1, 0.1, of_canary=True)
    for _ in range(30):
        fill(watching, 9, 0.1, of_canary=False, failed=9)
        fill(watching, 1, 0.1, of_canary=True, failed=1)
    for _ in range(2_000):
        fill(watching, 9, 0.1, of_canary=False)
        fill(watching, 1, 0.1, of_canary=True)
        assert watching.verdict() is None


def test_one_that_is_slow_is_stopped_once_enough_is_known():
    watching = guard(canary_min_answers=30, canary_max_slowdown=2)
    fill(watching, 300, 0.1, of_canary=False)
    fill(watching, 29, 0.25, of_canary=True)
    assert watching.verdict() is None
    fill(watching, 1, 0.25, of_canary=True)
    assert watching.verdict() == "its median answer takes 0.250 s, production's 0.100 s"


def test_a_few_slow_answers_do_not_stop_it():
    watching = guard()
    fill(watching, 100, 0.1, of_canary=False)
    fill(watching, 60, 0.1, of_canary=True)
    fill(watching, 40, 9.0, of_canary=True)
    assert watching.verdict() is None


@pytest.fixture
def settings(tmp_path):
    settings = Settings(registry_folder=tmp_path)
    lineup_path(settings).parent.mkdir()
    return settings


def test_a_stop_holds_for_its_trial_only(settings):
    stop = Stop(name="pneumonia", since=7, reason="too slow")
    assert read_stop(settings, canary(10)) is None
    write_stop(settings, stop)
    assert read_stop(settings, canary(10)) == stop
    assert read_stop(settings, canary(10, since=9)) is None


def test_a_broken_file_stops_nothing(settings):
    write_stop(settings, Stop(name="pneumonia", since=7, reason="too slow"))
    (file,) = lineup_path(settings).parent.iterdir()
    file.write_text("{")
    assert read_stop(settings, canary(10)) is None
