"""ChestX-ray14: one row an image, findings by name, the official split and the radiologists' boxes."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from models.errors import TableError
from pipelines.raw import RawFiles
from pipelines.sources.card import load_card
from pipelines.sources.nih_chestxray14 import NihChestXray14
from pipelines.sources.source import Box, Exclusion
from tests.pipelines.conftest import ROOT, write_picture

TABLE = "Data_Entry_2017_v2020.csv"
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
)
RECORDS = (
    "00000001_000.png,Cardiomegaly|Emphysema,0,1,57,M,PA,2682,2749,0.143,0.143\n"
    "00000002_000.png,No Finding,0,2,80,F,AP,2500,2048,0.171,0.171\n"
    "00005567_000.png,Pleural_Thickening,0,5567,412,M,AP,2500,2048,0.168,0.168\n"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
FOURTEEN = {
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural Thickening",
    "Hernia",
}


def published(folder: Path, rng: np.random.Generator) -> Path:
    """As the archives unpack, each into a folder of its own."""
    write_picture(folder / "images_001/images/00000001_000.png", rng)
    write_picture(folder / "images_001/images/00000002_000.png", rng)
    write_picture(folder / "images_002/images/00005567_000.png", rng)
    (folder / TABLE).write_text(HEADER + RECORDS)
    (folder / "BBox_List_2017.csv").write_text(BOX_HEADER + "00005567_000.png,Infiltrate,256,512,128,64,,,\n")
    (folder / "train_val_list.txt").write_text("00000001_000.png\n00000002_000.png")
    (folder / "test_list.txt").write_text("00005567_000.png\n")
    return folder


def rows(folder: Path):
    card = load_card(ROOT / "data/sources/nih_chestxray14.yaml")
    return list(NihChestXray14().rows(RawFiles(folder), card))


def present(row):
    return {finding for finding, value in row.findings.items() if value == 1}


@pytest.fixture
def raw(tmp_path, noise):
    return published(tmp_path, noise)


def test_named_findings_are_present_and_the_others_of_the_fourteen_absent(raw):
    named, none, spelled = rows(raw)
    assert all(set(row.findings) == FOURTEEN for row in (named, none, spelled))
    assert present(named) == {"Cardiomegaly", "Emphysema"}
    assert present(none) == set()
    assert present(spelled) == {"Pleural Thickening"}
    assert set(NihChestXray14.findings) == FOURTEEN


def test_an_image_is_found_by_its_name_in_any_of_the_folders(raw, noise):
    assert [row.image for row in rows(raw)] == [
        "images_001/images/00000001_000.png",
        "images_001/images/00000002_000.png",
        "images_002/images/00005567_000.png",
    ]
    (raw / "images_002/images/00005567_000.png").unlink()
    write_picture(raw / "images/00005567_000.png", noise)
    assert rows(raw)[2].image == "images/00005567_000.png"


def test_a_row_tells_patient_view_age_and_sex(raw):
    row = rows(raw)[0]
    assert (row.patient_id, row.patient_source, row.study_id) == ("1", None, None)
    assert (row.view_position, row.age_years, row.sex) == ("PA", 57.0, "M")


def test_an_impossible_age_is_passed_on(raw):
    assert rows(raw)[2].age_years == 412.0


def test_the_lists_give_the_official_split(raw):
    assert [row.split_official for row in rows(raw)] == ["train", "train", "test"]


def test_without_lists_and_boxes_there_is_neither_split_nor_box(raw):
    for name in ("train_val_list.txt", "test_list.txt", "BBox_List_2017.csv"):
        (raw / name).unlink()
    assert {row.split_official for row in rows(raw)} == {None}
    assert {row.boxes for row in rows(raw)} == {()}


def test_a_box_is_in_shares_of_1024_pixels_and_infiltrate_means_infiltration(raw):
    assert [row.boxes for row in rows(raw)] == [(), (), (Box("Infiltration", 0.25, 0.5, 0.125, 0.0625),)]


def test_several_boxes_of_an_image_stay_in_order_and_inside(raw):
    lines = "00000001_000.png,Mass,896,0,256,512,,,\n00000001_000.png,Nodule,0,0,512,1024,,,\n"
    (raw / "BBox_List_2017.csv").write_text(BOX_HEADER + lines)
    assert rows(raw)[0].boxes == (Box("Mass", 0.875, 0.0, 0.125, 0.5), Box("Nodule", 0.0, 0.0, 0.5, 1.0))


def test_the_first_edition_of_the_table_is_read_as_well(raw):
    (raw / TABLE).unlink()
    line = "00000001_000.png,Hernia,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
    (raw / "Data_Entry_2017.csv").write_text(HEADER.strip() + ",\n" + line)
    (row,) = rows(raw)
    assert (present(row), row.age_years) == ({"Hernia"}, 58.0)


def test_a_row_for_a_missing_image_is_given_all_the_same(raw):
    (raw / "images_001/images/00000001_000.png").unlink()
    assert rows(raw)[0].image == "images/00000001_000.png"


def test_an_unknown_label_costs_the_image_only(raw):
    (raw / TABLE).write_text(HEADER + "00000001_000.png,Mass|Fracture,0,1,57,M,PA,1,1,1,1\n" + RECORDS)
    first, *others = rows(raw)
    assert isinstance(first, Exclusion)
    assert (first.image, first.code) == ("images_001/images/00000001_000.png", "unknown_label")
    assert "Fracture" in first.reason
    assert len(others) == 3


def test_an_empty_label_is_not_no_finding(raw):
    (raw / TABLE).write_text(HEADER + "00000001_000.png,,0,1,57,M,PA,1,1,1,1\n")
    (row,) = rows(raw)
    assert row.code == "unknown_label"


def test_a_table_without_a_column_is_refused(raw):
    (raw / TABLE).write_text("Image Index,Finding Labels\n00000001_000.png,Mass\n")
    with pytest.raises(TableError, match="Patient ID"):
        rows(raw)


def test_a_box_with_an_unknown_label_is_refused(raw):
    (raw / "BBox_List_2017.csv").write_text(BOX_HEADER + "00000001_000.png,Fracture,1,2,3,4,,,\n")
    with pytest.raises(TableError, match="Fracture"):
        rows(raw)


def test_the_publishers_own_folder(publishers):
    found = rows(publishers / "nih_chestxray14")
    assert len(found) == 1000
    assert len({row.patient_id for row in found}) == 682
    assert Counter("Pneumonia" if row.findings["Pneumonia"] else len(present(row)) for row in found) == {
        "Pneumonia": 500,
        0: 500,
    }
    assert Counter((row.findings["Pneumonia"], row.view_position) for row in found) == {
        (0, "AP"): 342,
        (0, "PA"): 158,
        (1, "AP"): 225,
        (1, "PA"): 275,
    }
