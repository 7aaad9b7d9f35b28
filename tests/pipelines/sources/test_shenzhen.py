"""The NLM's Shenzhen set: the label ends the file's name, sex and age begin the reading."""

from collections import Counter

import pytest

from pipelines.sources.shenzhen import Shenzhen
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import write_picture
from tests.pipelines.sources.listing import listed, write_text


def published(folder, rng):
    raw = folder / "shenzhen"
    for name in ("CHNCXR_0001_0", "CHNCXR_0002_0", "CHNCXR_0327_1"):
        write_picture(raw / f"CXR_png/{name}.png", rng)
    write_text(raw / "ClinicalReadings/CHNCXR_0001_0.txt", "male 45yrs", "normal")
    write_text(raw / "ClinicalReadings/CHNCXR_0327_1.txt", "female 28yrs", "bilateral secondary PTB")
    return raw


def test_the_last_digit_is_the_label_and_the_reading_gives_sex_and_age(tmp_path, noise):
    normal, tuberculous = {"Normal": 1, "Tuberculosis": 0}, {"Normal": 0, "Tuberculosis": 1}
    assert listed(Shenzhen(), published(tmp_path, noise)) == [
        ImageRow("CXR_png/CHNCXR_0001_0.png", "0001", age_years=45.0, sex="M", findings=normal),
        ImageRow("CXR_png/CHNCXR_0002_0.png", "0002", findings=normal),
        ImageRow("CXR_png/CHNCXR_0327_1.png", "0327", age_years=28.0, sex="F", findings=tuberculous),
    ]


@pytest.mark.parametrize(
    ("reading", "sex", "age"),
    [
        (("femal 32yrs", "normal"), "F", 32.0),
        (("female24yrs", "normal"), "F", 24.0),
        (("male , 29yrs  \t", "bilateral secondary PTB"), "M", 29.0),
        (("Female, 28yrs", "STB"), "F", 28.0),
        (("male 18month", "normal"), "M", 1.5),
        (("female 73 days", "normal"), "F", pytest.approx(0.2, abs=0.001)),
        (("male 42", "minimal PTB"), "M", None),
        (("normal 3 days later",), None, None),
        (("",), None, None),
    ],
)
def test_readings_are_written_in_many_ways(tmp_path, noise, reading, sex, age):
    write_picture(tmp_path / "CXR_png/CHNCXR_0001_0.png", noise)
    write_text(tmp_path / "ClinicalReadings/CHNCXR_0001_0.txt", *reading)
    (row,) = listed(Shenzhen(), tmp_path)
    assert (row.sex, row.age_years) == (sex, age)


def test_the_archives_own_folder_may_stand_in_front(tmp_path, noise):
    write_picture(tmp_path / "ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png", noise)
    write_text(tmp_path / "ChinaSet_AllFiles/ClinicalReadings/CHNCXR_0001_0.txt", "male 45yrs", "normal")
    (row,) = listed(Shenzhen(), tmp_path)
    assert (row.image, row.sex) == ("ChinaSet_AllFiles/CXR_png/CHNCXR_0001_0.png", "M")


@pytest.mark.parametrize("name", ["CHNCXR_0001_2.png", "CHNCXR_0001.png", "CHNCXR_0001_0_mask.png"])
def test_a_name_without_a_label_is_given_up(tmp_path, noise, name):
    write_picture(tmp_path / "CXR_png" / name, noise)
    assert listed(Shenzhen(), tmp_path) == [
        Exclusion(f"CXR_png/{name}", "unknown_label", "its name ends neither in _0 nor in _1 after a number")
    ]


def test_a_reading_without_an_image_is_no_row(tmp_path):
    write_text(tmp_path / "ClinicalReadings/CHNCXR_0001_0.txt", "male 45yrs", "normal")
    assert listed(Shenzhen(), tmp_path) == []


def test_the_publishers_own_folder(publishers):
    found = listed(Shenzhen(), publishers / "shenzhen")
    assert Counter(finding for row in found for finding, value in row.findings.items() if value) == {
        "Normal": 326, "Tuberculosis": 336
    }  # fmt: skip
    assert len({row.patient_id for row in found}) == 662
