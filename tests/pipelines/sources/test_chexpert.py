"""CheXpert: four values a cell, of which a blank says nothing."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import TableError
from pipelines.raw import RawFiles
from pipelines.sources.card import load_card
from pipelines.sources.chexpert import CheXpert
from pipelines.sources.source import Exclusion
from tests.pipelines.conftest import ROOT, write_picture

ROOT_NAME = "CheXpert-v1.0-small"
HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices\n"
)
MIXED = f"{ROOT_NAME}/train/patient00002/study2/view1_frontal.jpg"
LATERAL = f"{ROOT_NAME}/train/patient00002/study2/view2_lateral.jpg"
CLEAR = f"{ROOT_NAME}/train/patient00005/study1/view1_frontal.jpg"
VALID = f"{ROOT_NAME}/valid/patient64541/study1/view1_frontal.jpg"
TRAIN_ROWS = (
    f"{MIXED},Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,-1.0,,-1.0,0.0,1.0,,1.0,\n"
    f"{LATERAL},Female,87,Lateral,,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,1.0,,1.0,\n"
    f"{CLEAR},Male,33,Frontal,PA,1.0,,0.0,,,,,,,0.0,0.0,,,1.0\n"
)
VALID_ROWS = f"{VALID},Unknown,0,Frontal,,0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"


def published(folder: Path, rng: np.random.Generator) -> Path:
    for image in (MIXED, LATERAL, CLEAR, VALID):
        write_picture(folder / image, rng)
    (folder / ROOT_NAME / "train.csv").write_text(HEADER + TRAIN_ROWS)
    (folder / ROOT_NAME / "valid.csv").write_text(HEADER + VALID_ROWS)
    return folder


def rows(folder: Path):
    return list(CheXpert().rows(RawFiles(folder), load_card(ROOT / "data/sources/chexpert.yaml")))


@pytest.fixture
def raw(tmp_path, noise):
    return published(tmp_path, noise)


def test_one_is_present_zero_absent_minus_one_uncertain_and_blank_not_labelled(raw):
    mixed, _, clear, valid = rows(raw)
    assert mixed.findings == {"Lung Opacity": 1, "Pneumothorax": 0, "Effusion": 1}
    assert set(mixed.uncertain) == {"Cardiomegaly", "Edema", "Consolidation", "Atelectasis"}
    assert clear.findings == {"Cardiomegaly": 0, "Pneumothorax": 0, "Effusion": 0}
    assert clear.uncertain == ()
    assert valid.findings == {
        "Atelectasis": 0,
        "Cardiomegaly": 1,
        "Consolidation": 0,
        "Edema": 0,
        "Lung Opacity": 1,
        "Effusion": 0,
        "Pneumonia": 0,
        "Pneumothorax": 0,
    }


def test_a_lateral_view_is_given_up(raw):
    lateral = rows(raw)[1]
    assert isinstance(lateral, Exclusion)
    assert (lateral.image, lateral.code) == (LATERAL, "not_frontal")
    assert "'Lateral'" in lateral.reason


def test_the_path_gives_patient_study_and_split(raw):
    mixed, _, _, valid = rows(raw)
    assert (mixed.image, mixed.patient_id, mixed.study_id) == (MIXED, "patient00002", "patient00002/study2")
    assert (mixed.split_official, valid.split_official) == ("train", "validation")


def test_view_age_and_sex_are_the_tables(raw):
    mixed, _, clear, valid = rows(raw)
    assert (mixed.view_position, mixed.age_years, mixed.sex) == ("AP", 87.0, "F")
    assert (clear.view_position, clear.age_years, clear.sex) == ("PA", 33.0, "M")
    assert (valid.view_position, valid.age_years, valid.sex) == (None, 0.0, None)


def test_the_full_edition_and_a_folder_above_are_read_as_well(tmp_path, raw):
    (tmp_path / "download").mkdir()
    (raw / ROOT_NAME).rename(tmp_path / "download/CheXpert-v1.0")
    assert rows(tmp_path)[0].image == "download/CheXpert-v1.0/train/patient00002/study2/view1_frontal.jpg"


def test_one_of_the_two_tables_is_enough(raw):
    (raw / ROOT_NAME / "train.csv").unlink()
    assert [row.image for row in rows(raw)] == [VALID]


def test_another_value_is_given_up_by_name(raw):
    line = f"{CLEAR},Male,33,Frontal,PA,,,,,,,,maybe,,,,,,\n"
    (raw / ROOT_NAME / "train.csv").write_text(HEADER + line)
    row = rows(raw)[0]
    assert (row.image, row.code) == (CLEAR, "unknown_label")
    assert "Pneumonia is neither 1, 0, -1 nor blank" in row.reason


def test_a_path_of_another_form_is_given_up(raw):
    (raw / ROOT_NAME / "train.csv").write_text(HEADER + "a.jpg,Male,33,Frontal,PA,,,,,,,,,,,,,,\n")
    assert (rows(raw)[0].image, rows(raw)[0].code) == ("a.jpg", "unknown_path")


def test_a_row_for_a_missing_image_is_given_all_the_same(raw):
    (raw / MIXED).unlink()
    assert rows(raw)[0].image == MIXED


def test_a_table_without_a_column_is_refused(raw):
    (raw / ROOT_NAME / "valid.csv").write_text("Path,Sex,Age\n")
    with pytest.raises(TableError, match=r"valid\.csv: expected the columns Frontal/Lateral"):
        rows(raw)
