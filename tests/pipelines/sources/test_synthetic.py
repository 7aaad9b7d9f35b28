"""The drawn source: its records are the truth."""

import pytest

from models.errors import TableError
from pipelines.phantom.record import DRAWN_FINDINGS
from pipelines.sources.source import ImageRow
from pipelines.sources.synthetic import Synthetic
from tests.pipelines.conftest import write_picture
from tests.pipelines.sources.listing import listed, write_text

ABSENT = dict.fromkeys(DRAWN_FINDINGS, 0)


def published(folder, rng):
    raw = folder / "synthetic"
    write_text(
        raw / "records.csv",
        "image,patient,study,view,age_years,sex,scanner,seed,pneumonia,findings",
        "p0000-0,p0000,p0000-s0,PA,31.5,F,a,1,Normal,",
        "p0001-0,p0001,p0001-s0,AP,4.0,M,b,2,Viral Pneumonia,Infiltration|Pneumonia",
        "p0002-0,p0002,p0002-s0,PA,70.0,M,a,3,,Nodule",
    )
    for name in ("p0000-0", "p0001-0", "p0002-0"):
        write_picture(raw / f"images/{name}.png", rng)
    for name in ("p0001-0__Infiltration", "p0001-0__Pneumonia", "p0002-0__Nodule"):
        write_picture(raw / f"masks/{name}.png", rng)
    return raw


def test_records_give_findings_and_the_masks_that_are_there(tmp_path, noise):
    normal, viral, nodule = listed(Synthetic(), published(tmp_path, noise))
    assert normal == ImageRow(
        image="images/p0000-0.png",
        patient_id="p0000",
        study_id="p0000-s0",
        view_position="PA",
        age_years=31.5,
        sex="F",
        findings=ABSENT | {"Normal": 1, "Bacterial Pneumonia": 0, "Viral Pneumonia": 0},
    )
    assert {finding for finding, value in viral.findings.items() if value} == {
        "Viral Pneumonia", "Infiltration", "Pneumonia"
    }  # fmt: skip
    assert viral.masks == {
        "Infiltration": "masks/p0001-0__Infiltration.png",
        "Pneumonia": "masks/p0001-0__Pneumonia.png",
        "Viral Pneumonia": "masks/p0001-0__Pneumonia.png",
    }
    assert nodule.masks == {"Nodule": "masks/p0002-0__Nodule.png"}


def test_another_disease_has_none_of_the_three_classes(tmp_path, noise):
    nodule = listed(Synthetic(), published(tmp_path, noise))[2]
    assert nodule.findings == ABSENT | {"Nodule": 1}


def test_a_mask_that_is_not_there_is_of_no_finding(tmp_path, noise):
    raw = published(tmp_path, noise)
    (raw / "masks/p0001-0__Pneumonia.png").unlink()
    assert listed(Synthetic(), raw)[1].masks == {"Infiltration": "masks/p0001-0__Infiltration.png"}


def test_a_row_whose_image_is_missing_is_a_row(tmp_path, noise):
    raw = published(tmp_path, noise)
    (raw / "images/p0002-0.png").unlink()
    assert listed(Synthetic(), raw)[2].image == "images/p0002-0.png"


def test_a_table_of_other_columns_is_refused(tmp_path):
    write_text(tmp_path / "records.csv", "image,patient", "p0000-0,p0000")
    with pytest.raises(TableError, match="expected the columns study, view, age_years, sex, pneumonia, findings"):
        listed(Synthetic(), tmp_path)
