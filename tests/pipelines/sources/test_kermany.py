"""Kermany et al. 2018: class and patient stand in the file's name."""

from collections import Counter

import pytest

from pipelines.sources.kermany import Kermany
from pipelines.sources.source import Exclusion
from tests.pipelines.conftest import write_picture
from tests.pipelines.sources.listing import listed


def published(folder, rng):
    raw = folder / "kermany"
    for image in (
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0383-0001.jpeg",
        "train/PNEUMONIA/person1_bacteria_1.jpeg",
        "train/PNEUMONIA/person1_virus_6.jpeg",
        "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
        "test/PNEUMONIA/person100_bacteria_475.jpeg",
    ):
        write_picture(raw / "chest_xray" / image, rng)
    return raw


def rows(folder, *images):
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()
    return {row.image: row for row in listed(Kermany(), folder)}


@pytest.mark.parametrize(
    ("name", "present", "patient"),
    [
        ("NORMAL/IM-0115-0001.jpeg", {"Normal"}, "train-IM-0115"),
        ("NORMAL/NORMAL2-IM-0383-0001.jpeg", {"Normal"}, "train-IM-0383"),
        ("NORMAL/NORMAL2-IM-0499-0001-0002.jpeg", {"Normal"}, "train-IM-0499"),
        ("PNEUMONIA/person1000_bacteria_2931.jpeg", {"Bacterial Pneumonia", "Pneumonia"}, "train-person1000"),
        ("PNEUMONIA/person1_virus_6.jpeg", {"Viral Pneumonia", "Pneumonia"}, "train-person1"),
        ("PNEUMONIA/person122_virus_229_1.JPG", {"Viral Pneumonia", "Pneumonia"}, "train-person122"),
    ],
)
def test_the_name_gives_class_and_patient(tmp_path, name, present, patient):
    image = f"chest_xray/train/{name}"
    row = rows(tmp_path, image)[image]
    assert {finding for finding, value in row.findings.items() if value} == present
    assert set(row.findings) == {"Normal", "Bacterial Pneumonia", "Viral Pneumonia", "Pneumonia"}
    assert row.patient_id == patient
    assert row.split_official == "train"


def test_a_person_under_bacterial_and_viral_is_one_patient(tmp_path):
    folder = "chest_xray/train/PNEUMONIA"
    found = rows(tmp_path, f"{folder}/person23_bacteria_78.jpeg", f"{folder}/person23_virus_55.jpeg")
    assert [row.patient_id for row in found.values()] == ["train-person23", "train-person23"]


def test_test_part_is_the_publishers_and_has_its_own_patients(tmp_path):
    train, test, val = (f"chest_xray/{part}/PNEUMONIA/person1_virus_6.jpeg" for part in ("train", "test", "val"))
    found = rows(tmp_path, train, test, val)
    assert [(found[image].split_official, found[image].patient_id) for image in (train, test, val)] == [
        ("train", "train-person1"), ("test", "test-person1"), ("train", "train-person1")
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["person1_fungus_1.jpeg", "scan.jpeg", "person_bacteria_1.jpeg", "IM-0115.jpeg"])
def test_a_file_of_another_name_is_given_up(tmp_path, name):
    image = f"chest_xray/train/NORMAL/{name}"
    reason = "its name is neither person1_bacteria_1 nor IM-0115-0001"
    assert rows(tmp_path, image) == {image: Exclusion(image, "unknown_label", reason)}


def test_files_that_are_no_pictures_are_passed_over(tmp_path):
    image = "chest_xray/train/NORMAL/IM-0115-0001.jpeg"
    assert list(rows(tmp_path, image, "chest_xray/train/NORMAL/.DS_Store", "chest_xray/.DS_Store")) == [image]


def test_the_publishers_own_folder(publishers):
    found = listed(Kermany(), publishers / "kermany")
    assert len(found) == 5216
    counts = Counter(finding for row in found for finding, value in row.findings.items() if value)
    assert counts == {"Normal": 1341, "Bacterial Pneumonia": 2530, "Viral Pneumonia": 1345, "Pneumonia": 3875}
    assert {row.split_official for row in found} == {"train"}
