"""A user's own layout: folders that are classes, or a table whose columns the card names."""

from typing import Any

import pytest

from models.errors import SettingsError, TableError, UnknownNameError
from pipelines.sources.card import Card, load_card
from pipelines.sources.folder import Folder
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import ROOT, write_picture
from tests.pipelines.sources.listing import listed, write_text

COLUMNS: dict[str, Any] = {
    "image": "file", "patient_id": "patient", "study_id": "visit", "view_position": "view", "age_years": "age",
    "sex": "gender", "split_official": "part", "findings": {"Pneumonia": "pneumonia", "Effusion": "fluid"},
}  # fmt: skip
HEADER = "file,patient,visit,view,age,gender,part,pneumonia,fluid"


def published(folder, rng):
    raw = folder / "folder"
    for name in ("NORMAL/a.png", "NORMAL/2019/b.jpg", "PNEUMONIA/c.jpeg"):
        write_picture(raw / name, rng)
    return raw


def card(**changes: Any) -> Card:
    known = load_card(ROOT / "data/sources/folder.yaml").model_dump()
    return Card.model_validate(known | {"classes": {}} | changes)


def by_table(folder, *lines, columns=COLUMNS):
    write_text(folder / "labels.csv", HEADER, *lines)
    return listed(Folder("my_hospital"), folder, card(table="labels.csv", columns=columns))


def test_the_innermost_folder_that_is_a_class_gives_the_findings(tmp_path, noise):
    normal, pneumonia = {"Normal": 1, "Pneumonia": 0}, {"Normal": 0, "Pneumonia": 1}
    raw = published(tmp_path, noise)
    write_picture(raw / "PNEUMONIA/NORMAL/d.png", noise)
    assert listed(Folder(), raw) == [
        ImageRow("NORMAL/2019/b.jpg", "NORMAL/2019/b.jpg", findings=normal),
        ImageRow("NORMAL/a.png", "NORMAL/a.png", findings=normal),
        ImageRow("PNEUMONIA/NORMAL/d.png", "PNEUMONIA/NORMAL/d.png", findings=normal),
        ImageRow("PNEUMONIA/c.jpeg", "PNEUMONIA/c.jpeg", findings=pneumonia),
    ]


def test_an_image_in_no_class_is_given_up(tmp_path, noise):
    write_picture(tmp_path / "normal/a.png", noise)
    write_picture(tmp_path / "b.png", noise)
    reason = "none of its folders is a class; classes are NORMAL, PNEUMONIA"
    assert listed(Folder(), tmp_path) == [
        Exclusion("b.png", "unknown_label", reason), Exclusion("normal/a.png", "unknown_label", reason)
    ]  # fmt: skip


def test_a_table_gives_every_column_that_the_card_names(tmp_path, noise):
    write_picture(tmp_path / "2019/a.png", noise)
    write_picture(tmp_path / "2020/b.png", noise)
    assert by_table(tmp_path, "2019/a.png,P1,V1,AP Supine,45,female,train,1,0.0", "b.png,P2,,,,,,-1,") == [
        ImageRow(
            "2019/a.png", "P1", None, "V1", "AP", 45.0, "F", "train", {"Pneumonia": 1, "Effusion": 0}
        ),
        ImageRow("2020/b.png", "P2", uncertain=("Pneumonia",)),
    ]  # fmt: skip


def test_columns_that_the_card_does_not_name_are_unknown(tmp_path):
    columns = {"image": "file", "patient_id": "patient", "findings": {"Effusion": "fluid"}}
    assert by_table(tmp_path, "a.png,P1,V1,PA,45,F,test,1,1.0", columns=columns) == [
        ImageRow("a.png", "P1", findings={"Effusion": 1})
    ]


@pytest.mark.parametrize("value", ["yes", "2", "0.5", "true", "Jane Doe"])
def test_a_label_that_is_no_number_of_the_four_is_given_up_and_not_quoted(tmp_path, value):
    assert by_table(tmp_path, f"a.png,P1,,,,,,1,{value}") == [
        Exclusion("a.png", "unknown_label", "its fluid is neither 1, 0, -1 nor blank")
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("a.png,,,,,,,1,0", "unknown_patient"),
        ("a.png,P1,,Lateral,,,,1,0", "not_frontal"),
        ("a.png,P1,,,,,holdout,1,0", "unknown_split"),
    ],
)
def test_a_row_that_no_split_or_model_could_use_is_given_up(tmp_path, line, code):
    (row,) = by_table(tmp_path, line)
    assert isinstance(row, Exclusion)
    assert (row.image, row.code) == ("a.png", code)


@pytest.mark.parametrize(("part", "split"), [("Train", "train"), ("val", "validation"), ("test", "test"), ("", None)])
def test_parts_of_the_split_are_read_in_any_spelling(tmp_path, part, split):
    (row,) = by_table(tmp_path, f"a.png,P1,,,,,{part},1,0")
    assert row.split_official == split


def test_a_name_that_several_files_have_is_given_up(tmp_path, noise):
    write_picture(tmp_path / "2019/a.png", noise)
    write_picture(tmp_path / "2020/a.png", noise)
    named, by_path = by_table(tmp_path, "a.png,P1,,,,,,1,0", "2020/a.png,P1,,,,,,1,0")
    assert named == Exclusion("a.png", "ambiguous_image", "2 files have its name; give their paths")
    assert by_path.image == "2020/a.png"


def test_a_row_whose_image_is_missing_is_a_row(tmp_path):
    (row,) = by_table(tmp_path, "gone.png,P1,,,,,,1,0")
    assert row.image == "gone.png"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"table": "labels.csv"},
        {"columns": COLUMNS},
        {"classes": {"NORMAL": {"Normal": 1}}, "table": "labels.csv", "columns": COLUMNS},
        {"classes": {"NORMAL": {"Normal": 1}}, "table": "labels.csv"},
    ],
)
def test_a_card_describes_classes_or_a_table_but_not_both(tmp_path, changes):
    with pytest.raises(SettingsError, match=r"data/sources/my_hospital\.yaml: expected either classes, or table with"):
        listed(Folder("my_hospital"), tmp_path, card(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": {"NORMAL": {"Efusion": 0}}},
        {"table": "labels.csv", "columns": COLUMNS | {"findings": {"Efusion": "fluid"}}},
    ],
)
def test_a_finding_outside_the_vocabulary_is_refused(tmp_path, changes):
    write_text(tmp_path / "labels.csv", HEADER)
    with pytest.raises(UnknownNameError, match="Unknown finding 'Efusion'"):
        listed(Folder(), tmp_path, card(**changes))


def test_a_table_without_a_named_column_is_refused(tmp_path):
    with pytest.raises(TableError, match=r"labels\.csv: expected the columns breath"):
        by_table(tmp_path, columns=COLUMNS | {"findings": {"Effusion": "breath"}})
