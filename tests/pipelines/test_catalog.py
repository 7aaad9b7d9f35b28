"""A table a source: what is not known is null, and an image is one row."""

import pyarrow.parquet as pq
import pytest

from models.errors import DataError, UnknownNameError
from models.findings import FINDINGS
from pipelines.catalog import catalog, main
from pipelines.sources.source import ImageRow
from tests.pipelines.conftest import ListedSource


def listed(folder, *rows, drawn=False):
    """The records of a catalog that was made of these rows."""
    path = folder / "catalog" / "clinic.parquet"
    assert catalog(ListedSource("clinic", list(rows), drawn=drawn), folder, path) == len(rows)
    return pq.read_table(path).to_pylist()


def test_columns_and_their_kinds(tmp_path):
    catalog(ListedSource("clinic", []), tmp_path, tmp_path / "clinic.parquet")
    schema = pq.read_schema(tmp_path / "clinic.parquet")
    described = ["image", "source", "drawn", "patient_id", "study_id", "view_position", "age_years", "sex"]
    assert schema.names == [*described, "split_official", *FINDINGS]
    kinds = dict(zip(schema.names, map(str, schema.types), strict=True))
    assert {name for name, kind in kinds.items() if kind == "float"} == {"age_years", *FINDINGS}
    assert {name for name, kind in kinds.items() if kind == "bool"} == {"drawn"}
    assert {field.name for field in schema if not field.nullable} == {"image", "source", "drawn", "patient_id"}


def test_what_the_publisher_does_not_say_is_null(tmp_path):
    (record,) = listed(tmp_path, ImageRow("a.png", "7", findings={"Effusion": 1, "Edema": 0}))
    known = {name: value for name, value in record.items() if value is not None}
    assert known == {
        "image": "a.png", "source": "clinic", "drawn": False, "patient_id": "clinic:7", "Effusion": 1.0, "Edema": 0.0
    }  # fmt: skip


def test_what_the_publisher_says_is_kept(tmp_path):
    row = ImageRow("a.png", "7", "S1", "AP", 4.5, "F", "test", {"Normal": 1})
    (record,) = listed(tmp_path, row, drawn=True)
    assert {name: value for name, value in record.items() if value is not None} == {
        "image": "a.png", "source": "clinic", "drawn": True, "patient_id": "clinic:7", "study_id": "S1",
        "view_position": "AP", "age_years": 4.5, "sex": "F", "split_official": "test", "Normal": 1.0,
    }  # fmt: skip


def test_more_rows_than_a_group_keep_their_order(tmp_path):
    names = [f"{number}.png" for number in range(8200)]
    records = listed(tmp_path, *(ImageRow(name, "1") for name in names))
    assert [record["image"] for record in records] == names
    assert pq.read_metadata(tmp_path / "catalog" / "clinic.parquet").num_row_groups == 2


def test_an_image_listed_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"clinic lists a\.png twice"):
        listed(tmp_path, ImageRow("a.png", "1"), ImageRow("b.png", "1"), ImageRow("a.png", "2"))


def test_a_finding_that_the_vocabulary_lacks_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="Unknown finding 'Efusion'"):
        listed(tmp_path, ImageRow("a.png", "1", findings={"Efusion": 1}))


def test_the_stage_catalogs_the_source_it_is_told(cohort, tmp_path):
    main("synthetic", str(cohort / "raw/synthetic"), str(tmp_path / "synthetic.parquet"))
    records = pq.read_table(tmp_path / "synthetic.parquet").to_pylist()
    assert {record["source"] for record in records} == {"synthetic"}
    assert len({record["patient_id"] for record in records}) == 60
    assert all(record["drawn"] for record in records)
    # The drawn classes exclude each other; who has another disease has none of them.
    three = [tuple(record[name] for name in ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")) for record in records]
    assert set(three) == {(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (None, None, None)}
    assert {record["Fibrosis"] for record in records} == {None}  # never drawn
