"""The NLM's Montgomery set: as Shenzhen's, with readings of another form and some patients seen twice."""

import pytest

from pipelines.sources.montgomery import Montgomery
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import write_picture
from tests.pipelines.sources.listing import listed, write_text


def published(folder, rng):
    raw = folder / "montgomery"
    for name in ("MCUCXR_0001_0", "MCUCXR_0113_1", "MCUCXR_0117_1"):
        write_picture(raw / f"CXR_png/{name}.png", rng)
        write_picture(raw / f"ManualMask/leftMask/{name}.png", rng)
        write_picture(raw / f"ManualMask/rightMask/{name}.png", rng)
    readings = {
        "MCUCXR_0001_0": ("Patient's Sex: F ", "Patient's Age: 027Y", "normal"),
        "MCUCXR_0113_1": ("Patient's Sex: M ", "Patient's Age: 084Y", "cavity in the right upper lobe"),
        "MCUCXR_0117_1": ("Patient's Sex: M ", "Patient's Age: 085Y", "stable (same pt as MCUCXR_0113_1)"),
    }
    for name, lines in readings.items():
        write_text(raw / f"ClinicalReadings/{name}.txt", *lines)
    return raw


def test_images_and_readings_are_read_and_outlines_of_lungs_are_not(tmp_path, noise):
    normal, tuberculous = {"Normal": 1, "Tuberculosis": 0}, {"Normal": 0, "Tuberculosis": 1}
    assert listed(Montgomery(), published(tmp_path, noise)) == [
        ImageRow("CXR_png/MCUCXR_0001_0.png", "0001", None, None, "PA", 27.0, "F", None, normal),
        ImageRow("CXR_png/MCUCXR_0113_1.png", "0113", None, None, "PA", 84.0, "M", None, tuberculous),
        ImageRow("CXR_png/MCUCXR_0117_1.png", "0113", None, None, "PA", 85.0, "M", None, tuberculous),
    ]


@pytest.mark.parametrize(
    ("reading", "sex", "age"),
    [
        (("Patient's Sex: O ", "Patient's Age: 005Y", "normal"), None, 5.0),
        (("Patient's Sex: ", "Patient's Age: 005Y", "normal"), None, 5.0),
        (("Patient's Sex: F", "Patient's Age: 018M", "normal"), "F", 1.5),
        (("Patient's Sex: F", "Patient's Age: ", "normal"), None, None),
        (("normal",), None, None),
    ],
)
def test_what_a_reading_does_not_say_is_unknown(tmp_path, noise, reading, sex, age):
    write_picture(tmp_path / "CXR_png/MCUCXR_0001_0.png", noise)
    write_text(tmp_path / "ClinicalReadings/MCUCXR_0001_0.txt", *reading)
    (row,) = listed(Montgomery(), tmp_path)
    assert (row.sex, row.age_years) == (sex, age)


def test_readings_may_be_missing(tmp_path, noise):
    write_picture(tmp_path / "MontgomerySet/CXR_png/MCUCXR_0104_1.png", noise)
    (row,) = listed(Montgomery(), tmp_path)
    assert (row.patient_id, row.sex, row.findings["Tuberculosis"]) == ("0104", None, 1)


def test_a_name_without_a_label_is_given_up(tmp_path, noise):
    write_picture(tmp_path / "CXR_png/MCUCXR_0104.png", noise)
    (row,) = listed(Montgomery(), tmp_path)
    assert isinstance(row, Exclusion)
    assert row.code == "unknown_label"
