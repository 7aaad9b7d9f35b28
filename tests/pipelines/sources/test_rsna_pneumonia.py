"""RSNA challenge: rows of boxes become one image each, tied to the NIH patient it came from."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from models.errors import TableError
from pipelines.raw import RawFiles
from pipelines.sources.card import load_card
from pipelines.sources.rsna_pneumonia import RsnaPneumonia
from pipelines.sources.source import Box, Exclusion
from tests.pipelines.conftest import ROOT

LABELS, CLASSES = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
LABELS_HEADER, CLASSES_HEADER = "patientId,x,y,width,height,Target\n", "patientId,class\n"
OTHER = "No Lung Opacity / Not Normal"
SICK, WELL, UNLIKE, TEST = (
    "00436515-870c-4b36-a041-de91049b9ab4",
    "003d8fa0-6bf1-40ed-b54c-ac657f8495c5",
    "0004cfab-14fd-4e49-80ba-63a80b6bddd6",
    "0000a175-0e68-4ca4-b1af-167204a7e0bc",
)


def write_instance(path: Path, rng: np.random.Generator) -> None:
    """A secondary capture of 32 x 32 pixels of 8 bits; the challenge's ages have no unit."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = f"1.2.3.{rng.integers(10**9)}"
    dataset.PatientSex, dataset.ViewPosition = "F", "PA"
    dataset.add(DataElement(0x00101010, "AS", "51", validation_mode=IGNORE))
    dataset.Rows = dataset.Columns = 32
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.add_new(0x7FE00010, "OB", rng.integers(0, 256, (32, 32), np.uint8).tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def published(folder: Path, rng: np.random.Generator) -> Path:
    for name in (SICK, WELL, UNLIKE):
        write_instance(folder / f"stage_2_train_images/{name}.dcm", rng)
    write_instance(folder / f"stage_2_test_images/{TEST}.dcm", rng)
    (folder / LABELS).write_text(
        LABELS_HEADER
        + f"{UNLIKE},,,,,0\n{WELL},,,,,0\n{SICK},256.0,128.0,512.0,64.0,1\n{SICK},896.0,0.0,256.0,1024.0,1\n"
    )
    (folder / CLASSES).write_text(
        CLASSES_HEADER + f"{UNLIKE},{OTHER}\n{WELL},Normal\n{SICK},Lung Opacity\n{SICK},Lung Opacity\n"
    )
    mapping = [
        {"subset_img_id": SICK, "img_id": "00000013_005.png", "SOPInstanceUID": "1.2.3", "orig_img_id": "a"},
        {"subset_img_id": WELL, "img_id": "00028453_000.png", "SOPInstanceUID": "1.2.4", "orig_img_id": "b"},
    ]
    (folder / MAPPING).write_text(json.dumps(mapping))
    return folder


def rows(folder: Path):
    return list(RsnaPneumonia().rows(RawFiles(folder), load_card(ROOT / "data/sources/rsna_pneumonia.yaml")))


def only(folder: Path, labels: str, classes: str):
    (folder / LABELS).write_text(LABELS_HEADER + labels)
    (folder / CLASSES).write_text(CLASSES_HEADER + classes)
    row, test = rows(folder)
    assert test.code == "no_label"
    return row


@pytest.fixture
def raw(tmp_path, noise):
    return published(tmp_path, noise)


def test_target_and_class_give_opacity_and_normal(raw):
    unlike, well, sick, _ = rows(raw)
    assert unlike.findings == {"Lung Opacity": 0, "Normal": 0}
    assert well.findings == {"Lung Opacity": 0, "Normal": 1}
    assert sick.findings == {"Lung Opacity": 1, "Normal": 0}


def test_the_rows_of_an_image_become_its_boxes(raw):
    unlike, _, sick, _ = rows(raw)
    assert unlike.boxes == ()
    assert sick.image == f"stage_2_train_images/{SICK}.dcm"
    assert sick.boxes == (
        Box("Lung Opacity", 0.25, 0.125, 0.5, 0.0625),
        Box("Lung Opacity", 0.875, 0.0, 0.125, 1.0),
    )


def test_with_the_mapping_an_image_belongs_to_its_nih_patient(raw):
    unlike, well, sick, _ = rows(raw)
    assert (sick.patient_id, sick.patient_source) == ("13", "nih_chestxray14")
    assert (well.patient_id, well.patient_source) == ("28453", "nih_chestxray14")
    assert (unlike.patient_id, unlike.patient_source) == (UNLIKE, None)


def test_without_the_mapping_an_image_is_its_own_patient(raw):
    (raw / MAPPING).unlink()
    assert [(row.patient_id, row.patient_source) for row in rows(raw)[:3]] == [
        (UNLIKE, None),
        (WELL, None),
        (SICK, None),
    ]


def test_the_test_part_is_given_up_for_want_of_labels(raw):
    last = rows(raw)[-1]
    assert isinstance(last, Exclusion)
    assert (last.image, last.code) == (f"stage_2_test_images/{TEST}.dcm", "no_label")


@pytest.mark.parametrize(("target", "kind"), [(1, "Normal"), (1, OTHER), (0, "Lung Opacity")])
def test_target_and_class_that_contradict_each_other_are_given_up(raw, target, kind):
    row = only(raw, f"{SICK},1,2,3,4,{target}\n", f"{SICK},{kind}\n")
    assert (row.image, row.code) == (f"stage_2_train_images/{SICK}.dcm", "contradiction")
    assert kind in row.reason


def test_rows_of_one_image_that_contradict_each_other_are_given_up(raw):
    row = only(raw, f"{SICK},1,2,3,4,1\n{SICK},,,,,0\n", f"{SICK},Lung Opacity\n")
    assert row.code == "contradiction"
    row = only(raw, f"{WELL},,,,,0\n", f"{WELL},Normal\n{WELL},{OTHER}\n")
    assert row.code == "contradiction"


def test_an_image_without_class_is_not_labelled_normal_or_otherwise(raw):
    assert only(raw, f"{WELL},,,,,0\n", "").findings == {"Lung Opacity": 0}


@pytest.mark.parametrize(("target", "kind", "named"), [("2", "Normal", "'2'"), ("0", "Healthy", "'Healthy'")])
def test_an_unknown_label_is_given_up_by_name(raw, target, kind, named):
    row = only(raw, f"{WELL},,,,,{target}\n", f"{WELL},{kind}\n")
    assert row.code == "unknown_label"
    assert named in row.reason


def test_a_row_for_a_missing_image_is_given_all_the_same(raw):
    (raw / f"stage_2_train_images/{SICK}.dcm").unlink()
    assert rows(raw)[2].image == f"stage_2_train_images/{SICK}.dcm"


@pytest.mark.parametrize("table", [LABELS, CLASSES])
def test_a_table_without_a_column_is_refused(raw, table):
    (raw / table).write_text("patientId\n" + SICK)
    with pytest.raises(TableError, match=f"{table}: expected the columns"):
        rows(raw)


@pytest.mark.parametrize("content", ["{", "[1]", '[{"img_id": "00000001_000.png"}]', '{"a": 1}', '"text"', "1"])
def test_a_mapping_of_another_form_is_refused(raw, content):
    (raw / MAPPING).write_text(content)
    with pytest.raises(TableError, match="expected a JSON list of objects with the texts subset_img_id and img_id"):
        rows(raw)
