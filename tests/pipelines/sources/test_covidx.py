"""COVIDx: lists of patient, file, class and origin, one a part of the split."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import TableError
from pipelines.raw import RawFiles
from pipelines.sources.card import load_card
from pipelines.sources.covidx import Covidx
from pipelines.sources.source import Exclusion
from tests.pipelines.conftest import ROOT, write_picture

NORMAL = "47c78742-4998-4878-aec4-37b11b1354ac"
THREE_CLASSES = (
    f"{NORMAL} {NORMAL}.png normal rsna\n"
    "8 SARS-10.1148rg.242035193-g04mr34g05x-Fig5-day9.jpeg pneumonia cohen\n"
    "419639-003251 MIDRC-RICORD-1C-419639-003251-46647-0.png COVID-19 ricord\n"
)
TWO_CLASSES = (
    f"{NORMAL} {NORMAL}.png negative rsna\n"
    "419639-003251 MIDRC-RICORD-1C-419639-003251-46647-0.png positive ricord\n"
    "210 16745_2_1.PNG negative cohen\n"
)


def published(folder: Path, rng: np.random.Generator) -> Path:
    """Both lists of the training part, one of the others."""
    names = {line.split()[1] for line in (THREE_CLASSES + TWO_CLASSES).splitlines()}
    for name in sorted(names):
        write_picture(folder / "train" / name, rng)
    write_picture(folder / "val/COVID-00025.jpg", rng)
    write_picture(folder / "test/COVID-19(70).png", rng)
    (folder / "train_COVIDx9A.txt").write_text(THREE_CLASSES)
    (folder / "train.txt").write_text(TWO_CLASSES)
    (folder / "val.txt").write_text("COVID-00025 COVID-00025.jpg positive fig1\n")
    (folder / "test.txt").write_text("COVID-19(70) COVID-19(70).png positive sirm\n")
    return folder


def rows(folder: Path):
    return list(Covidx().rows(RawFiles(folder), load_card(ROOT / "data/sources/covidx.yaml")))


def only(folder: Path, name: str, content: str):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    (row,) = rows(folder)
    return row


@pytest.fixture
def raw(tmp_path, noise):
    return published(tmp_path, noise)


@pytest.mark.parametrize(
    ("label", "findings"),
    [
        ("normal", {"Normal": 1, "Pneumonia": 0, "COVID-19": 0}),
        ("pneumonia", {"Normal": 0, "Pneumonia": 1, "COVID-19": 0}),
        ("COVID-19", {"COVID-19": 1}),
        ("positive", {"COVID-19": 1}),
        ("negative", {"COVID-19": 0}),
    ],
)
def test_a_class_says_what_it_says_and_no_more(tmp_path, label, findings):
    assert only(tmp_path, "train.txt", f"5 a.png {label} cohen\n").findings == findings


def test_what_two_lists_of_a_part_say_of_an_image_is_put_together(raw):
    found = {row.image: row for row in rows(raw)}
    assert len(found) == len(rows(raw)) == 6
    assert found[f"train/{NORMAL}.png"].findings == {"Normal": 1, "Pneumonia": 0, "COVID-19": 0}
    assert found["train/16745_2_1.PNG"].findings == {"COVID-19": 0}


def test_lists_that_contradict_each_other_give_the_image_up(raw):
    (raw / "train.txt").write_text(f"{NORMAL} {NORMAL}.png positive rsna\n")
    row = next(row for row in rows(raw) if row.image == f"train/{NORMAL}.png")
    assert isinstance(row, Exclusion)
    assert row.code == "contradiction"
    assert {"positive", "normal"} <= set(row.reason.split())


@pytest.mark.parametrize(
    ("name", "image", "part"),
    [
        ("train.txt", "train/a.png", "train"),
        ("val.txt", "val/a.png", "validation"),
        ("test.txt", "test/a.png", "test"),
        ("train_COVIDx5.txt", "train/a.png", "train"),
        ("test_COVIDx9A.txt", "test/a.png", "test"),
        ("labels/test_COVIDx_CXR-3B.txt", "test/a.png", "test"),
    ],
)
def test_a_lists_name_is_its_part_and_its_images_folder(tmp_path, name, image, part):
    row = only(tmp_path, name, "5 a.png normal cohen\n")
    assert (row.image, row.split_official) == (image, part)


@pytest.mark.parametrize("name", ["train_COVIDxSev.txt", "test_split.txt", "requirements.txt", "logged_images.txt"])
def test_other_texts_are_no_lists(tmp_path, name):
    (tmp_path / name).write_text("5 a.png level1 cohen\n")
    assert rows(tmp_path) == []


def test_patients_of_different_origins_are_different(tmp_path):
    (tmp_path / "train.txt").write_text("5 a.png positive cohen\n5 b.png positive actmed\n5 c.png positive cohen\n")
    assert [row.patient_id for row in rows(tmp_path)] == ["5", "actmed 5", "5"]


@pytest.mark.parametrize(
    ("line", "image", "patient"),
    [
        ("8 Fig 5 day 9.jpeg pneumonia cohen", "train/Fig 5 day 9.jpeg", "8"),
        ("8 Fig 5 day 9.jpeg pneumonia", "train/Fig 5 day 9.jpeg", "8"),
        ("ANON1 CR.1.2.840.png negative", "train/CR.1.2.840.png", "ANON1"),
        ("7 a.png.jpg negative bimcv  ", "train/a.png.jpg", "bimcv 7"),
    ],
)
def test_blanks_in_a_name_and_a_missing_origin_are_understood(tmp_path, line, image, patient):
    row = only(tmp_path, "train.txt", f"\n{line}\n")
    assert (row.image, row.patient_id) == (image, patient)


def test_a_row_for_a_missing_image_is_given_all_the_same(raw):
    (raw / f"train/{NORMAL}.png").unlink()
    assert f"train/{NORMAL}.png" in {row.image for row in rows(raw)}


def test_an_unknown_class_is_given_up_by_name(tmp_path):
    row = only(tmp_path, "train.txt", "8 a.jpeg viral\n")
    assert (row.image, row.code) == ("train/a.jpeg", "unknown_label")
    assert "'viral'" in row.reason


@pytest.mark.parametrize("line", ["a.png", "5 a.png", "5 a.dcm normal rsna", "5 a.png normal rsna more"])
def test_a_line_of_another_form_is_refused_without_repeating_it(tmp_path, line):
    (tmp_path / "train.txt").write_text(f"4 b.png normal rsna\n{line}\n")
    with pytest.raises(TableError, match="something else in line 2") as refused:
        rows(tmp_path)
    assert line not in str(refused.value)
