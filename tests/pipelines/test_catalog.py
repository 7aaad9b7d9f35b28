"""A table a source: one row an image, what is not known is null, and all that is left out is listed with its reason."""

import stat
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandera.errors import SchemaErrors
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from models.errors import DataError, UnknownNameError
from models.findings import FINDINGS
from models.reading import read_radiograph
from pipelines.catalog import SCHEMA, TABLE, LeftOut, catalog, main, write_rows
from pipelines.facts import image_facts
from pipelines.params import Prepare
from pipelines.prepare import prepare
from pipelines.pseudonyms import Pseudonyms
from pipelines.raw import RawFiles
from pipelines.shards import pack, write_shard
from pipelines.sources.source import Box, Exclusion, ImageRow
from tests.pipelines.conftest import CARD, PSEUDONYMS, ROOT, ListedSource

OTHER_KEY = Pseudonyms(b"another key of thirty-two bytes!")


def png(seed=1, height=32, width=40):
    target = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)).save(target, "PNG")
    return target.getvalue()


def instance(**elements):
    """A CR instance of noise with these elements in its header."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    dataset.Rows = dataset.Columns = 32
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.Modality = "CR"
    dataset.add_new(0x7FE00010, "OW", np.random.default_rng(2).integers(0, 4096, (32, 32)).astype("<u2").tobytes())
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    target = BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def cataloged(folder, images, *rows, name="clinic", drawn=False, pseudonyms=PSEUDONYMS):
    """The table as records, and what was left out, of these images and rows; an image of None was refused."""
    shards = folder / name
    shards.mkdir(parents=True, exist_ok=True)
    refused = {"refused_code": "malformed_file", "refused_reason": "it is torn"}
    records = (
        {"image": image} | (refused if data is None else image_facts(data, read) | pack(data, read))
        for image, data in images.items()
        for read in [data and read_radiograph(data)]
    )
    write_shard(shards / "00000.parquet", records)
    table, left_out = catalog(
        ListedSource(name, list(rows), drawn=drawn), RawFiles(folder / "raw"), CARD, shards, pseudonyms
    )
    return table.to_pylist(), left_out


def one(folder, row, data=None, **settings):
    """The record of the only image."""
    (record,), left_out = cataloged(folder, {row.image: data or png()}, row, **settings)
    assert left_out == []
    return record


def known(record):
    return {name: value for name, value in record.items() if value is not None and value != []}


def test_what_the_publisher_does_not_say_is_null(tmp_path):
    record = one(tmp_path, ImageRow("a.png", "7", findings={"Effusion": 1, "Edema": 0}))
    of_the_file = {name: record[name] for name in ("sha256", "perceptual_hash")}
    assert known(record) == of_the_file | {
        "image": "a.png", "source": "clinic", "drawn": False, "patient_id": PSEUDONYMS.of("patient", "clinic", "7"),
        "width": 40, "height": 32, "Effusion": 1.0, "Edema": 0.0,
    }  # fmt: skip
    assert list(record) == SCHEMA.names
    assert SCHEMA.names[-len(FINDINGS) :] == list(FINDINGS)


def test_what_the_publisher_says_is_kept(tmp_path):
    row = ImageRow(
        "a.png", "7", None, "S1", "AP", 4.5, "F", "test", {"Nodule": 1}, ("Mass", "Edema"),
        (Box("Nodule", 0.25, 0.5, 0.125, 0.0625),), {"Nodule": "masks/a.png"}, ("far_away", "00000001_000"),
    )  # fmt: skip
    record = one(tmp_path, row, drawn=True)
    told = ("drawn", "study_id", "view_position", "age_years", "sex", "split_official", "boxes", "masks", "uncertain",
            "copy_of", "Nodule", "Mass", "Edema")  # fmt: skip
    assert {name: record[name] for name in told} == {
        "drawn": True, "study_id": PSEUDONYMS.of("study", "clinic", "S1"), "view_position": "AP", "age_years": 4.5,
        "sex": "F", "split_official": "test", "uncertain": ["Mass", "Edema"], "copy_of": "far_away/00000001_000",
        "boxes": [{"finding": "Nodule", "left": 0.25, "top": 0.5, "width": 0.125, "height": 0.0625}],
        "masks": [{"finding": "Nodule", "path": "masks/a.png"}],
        "Nodule": 1.0, "Mass": None, "Edema": None,
    }  # fmt: skip


def test_one_number_in_two_sources_is_two_patients(tmp_path):
    row = ImageRow("a.png", "7", study_id="S1")
    ours, theirs = (one(tmp_path, row, name=name) for name in ("clinic", "alps"))
    assert ours["patient_id"] != theirs["patient_id"]
    assert ours["study_id"] != theirs["study_id"]


def test_a_number_of_another_source_is_that_sources_patient(tmp_path):
    ours = one(tmp_path, ImageRow("a.png", "7", study_id="S1"))
    theirs = one(tmp_path, ImageRow("b.png", "7", patient_source="clinic", study_id="S1"), name="challenge")
    assert (theirs["patient_id"], theirs["study_id"]) == (ours["patient_id"], ours["study_id"])


def test_no_identity_leaves_and_another_key_gives_other_pseudonyms(tmp_path):
    row = ImageRow("a.png", "Doe^Jane", study_id="canary-study")
    first, second = (one(tmp_path, row, pseudonyms=pseudonyms) for pseudonyms in (PSEUDONYMS, OTHER_KEY))
    assert "Doe" not in str(first)
    assert "canary" not in str(first)
    assert first["patient_id"] != second["patient_id"]
    assert first["study_id"] != second["study_id"]


def test_the_header_says_what_the_publisher_does_not(tmp_path):
    data = instance(ViewPosition="AP", PatientAge="018M", PatientSex="F")
    record = one(tmp_path, ImageRow("a.dcm", "7"), data)
    assert (record["view_position"], record["age_years"], record["sex"]) == ("AP", 1.5, "F")


def test_the_publisher_has_the_last_word_before_the_header(tmp_path):
    data = instance(ViewPosition="AP", PatientAge="050Y", PatientSex="F")
    record = one(tmp_path, ImageRow("a.dcm", "7", view_position="PA", age_years=0.0, sex="M"), data)
    assert (record["view_position"], record["age_years"], record["sex"]) == ("PA", 0.0, "M")


def test_what_the_vocabulary_lacks_in_a_header_is_null(tmp_path):
    data = instance(ViewPosition="UNKNOWN", PatientSex="O")
    record = one(tmp_path, ImageRow("a.dcm", "7"), data)
    assert (record["view_position"], record["age_years"], record["sex"]) == (None, None, None)


@pytest.mark.parametrize("view", ["LL", "LLD", "RL", "RLO", "LATERAL"])
def test_a_lateral_view_by_its_header_is_left_out(tmp_path, view):
    records, left_out = cataloged(tmp_path, {"a.dcm": instance(ViewPosition=view)}, ImageRow("a.dcm", "7"))
    assert records == []
    assert left_out == [LeftOut("a.dcm", "image", "not_frontal", f"its header says view {view}")]


@pytest.mark.parametrize(
    ("age", "kept", "said"),
    [(0.0, 0.0, None), (120.0, 120.0, None), (412.0, None, "412"), (-1.0, None, "-1"), (120.5, None, "120.5")],
)
def test_an_age_that_cannot_be_is_null_with_a_remark_and_the_image_stays(tmp_path, age, kept, said):
    (record,), left_out = cataloged(tmp_path, {"a.png": png()}, ImageRow("a.png", "7", age_years=age))
    assert record["age_years"] == kept
    reason = f"an age of {said} years is none; expected 0 to 120"
    assert left_out == ([LeftOut("a.png", "value", "age_out_of_range", reason)] if said else [])


def test_an_age_that_cannot_be_in_the_header_is_none_too(tmp_path):
    (record,), left_out = cataloged(tmp_path, {"a.dcm": instance(PatientAge="412Y")}, ImageRow("a.dcm", "7"))
    assert record["age_years"] is None
    assert [(item.scope, item.code) for item in left_out] == [("value", "age_out_of_range")]


def test_rows_that_say_the_same_are_one(tmp_path):
    row = ImageRow("a.png", "7", findings={"Mass": 1})
    (record,), left_out = cataloged(tmp_path, {"a.png": png()}, row, ImageRow("a.png", "7", findings={"Mass": 1}), row)
    assert record["Mass"] == 1.0
    assert left_out == [LeftOut("a.png", "row", "repeated_row", "another row says the same of it")] * 2


@pytest.mark.parametrize(
    "other",
    [ImageRow("a.png", "8"), ImageRow("a.png", "7", findings={"Mass": 0}), ImageRow("a.png", "7", age_years=3.0)],
)
def test_rows_that_contradict_each_other_cost_the_image(tmp_path, other):
    records, left_out = cataloged(tmp_path, {"a.png": png()}, ImageRow("a.png", "7"), other)
    assert records == []
    assert left_out == [LeftOut("a.png", "image", "contradiction", "2 rows say different things of it")]


def test_an_image_without_a_row_is_left_out(tmp_path):
    records, left_out = cataloged(tmp_path, {"a.png": png(), "b.png": png()}, ImageRow("a.png", "7"))
    assert [record["image"] for record in records] == ["a.png"]
    assert left_out == [LeftOut("b.png", "image", "image_without_row", "no table of the publisher names it")]


def test_a_row_without_an_image_is_no_image_that_was_read(tmp_path):
    records, left_out = cataloged(tmp_path, {"a.png": png()}, ImageRow("a.png", "7"), ImageRow("gone.png", "8"))
    assert [record["image"] for record in records] == ["a.png"]
    assert left_out == [LeftOut("gone.png", "row", "row_without_image", "its file is not there")]


def test_an_unreadable_image_is_left_out_with_its_reason(tmp_path):
    records, left_out = cataloged(tmp_path, {"a.png": None}, ImageRow("a.png", "7"))
    assert records == []
    assert left_out == [LeftOut("a.png", "image", "malformed_file", "it is torn")]


def test_what_the_source_gives_up_passes_through(tmp_path):
    _, left_out = cataloged(
        tmp_path, {"a.png": png(), "b.png": None},
        Exclusion("a.png", "unknown_label", "its label is 'Efusion'"), ImageRow("a.png", "7"),
        Exclusion("b.png", "not_radiograph", "a CT"), Exclusion("table.csv row 3", "unknown_time", "it is no time"),
    )  # fmt: skip
    assert left_out == [
        LeftOut("a.png", "image", "unknown_label", "its label is 'Efusion'"),
        LeftOut("b.png", "image", "not_radiograph", "a CT"),
        LeftOut("table.csv row 3", "row", "unknown_time", "it is no time"),
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"findings": {"Efusion": 1}},
        {"uncertain": ("Efusion",)},
        {"masks": {"Efusion": "m.png"}},
        {"boxes": (Box("Efusion", 0, 0, 1, 1),)},
    ],
    ids=lambda said: next(iter(said)),
)
def test_a_finding_that_the_vocabulary_lacks_is_refused(tmp_path, said):
    with pytest.raises(UnknownNameError, match="Unknown finding 'Efusion'"):
        cataloged(tmp_path, {"a.png": png()}, ImageRow("a.png", "1", **said))


def test_no_images_make_an_empty_table_of_the_same_columns(tmp_path):
    records, left_out = cataloged(tmp_path, {"a.png": None}, ImageRow("a.png", "1"))
    write_rows(pa.Table.from_pylist(records, SCHEMA), left_out, tmp_path / "new/a.parquet", tmp_path / "new/a.csv")
    assert pq.read_schema(tmp_path / "new/a.parquet").names == SCHEMA.names
    assert (tmp_path / "new/a.csv").read_text() == ("image,scope,code,reason\na.png,image,malformed_file,it is torn\n")


def test_images_read_are_those_kept_and_those_left_out(tmp_path):
    """A messy folder with one of each; each image of the folder has its fate."""
    raw = tmp_path / "raw"
    raw.mkdir()
    files = {
        "good.png": png(1), "good too.png": png(2), "old.png": png(3), "twice.png": png(4), "contradicted.png": png(5),
        "no row.png": png(6), "given up.png": png(7), "torn.png": png(8)[:99], "empty.png": b"", "text.png": b"text",
        "flat.png": png(9, 20, 20), "lateral.dcm": instance(ViewPosition="LL"), "torn without row.png": b"",
        "torn and given up.png": b"", "torn and contradicted.png": b"",
    }  # fmt: skip
    for image, data in files.items():
        (raw / image).write_bytes(data)
    named = ("good.png", "good too.png", "twice.png", "torn.png", "empty.png", "text.png", "flat.png", "lateral.dcm")
    rows = [ImageRow(image, "1") for image in named]
    contradicted = ("contradicted.png", "torn and contradicted.png")
    rows += [ImageRow(image, patient) for image in contradicted for patient in "12"]
    rows += [ImageRow("old.png", "2", age_years=412.0), ImageRow("twice.png", "1"), ImageRow("gone.png", "3")]
    rows += [Exclusion(image, "unknown_label", "?") for image in ("given up.png", "torn and given up.png", "row 3")]
    source = ListedSource("messy", rows)
    prepare(
        Prepare(max_unreadable=0.9, executor="local"), source, RawFiles(raw), tmp_path / "p", tmp_path / "shards"
    )  # fmt: skip
    table, left_out = catalog(source, RawFiles(raw), CARD, tmp_path / "shards", PSEUDONYMS)
    kept = set(table["image"].to_pylist())
    of_images = {item.image: item.code for item in left_out if item.scope == "image"}
    assert kept == {"good.png", "good too.png", "old.png", "twice.png"}
    assert of_images == {
        "contradicted.png": "contradiction", "no row.png": "image_without_row", "given up.png": "unknown_label",
        "torn.png": "malformed_file", "empty.png": "malformed_file", "text.png": "unknown_format",
        "flat.png": "unusable_radiograph", "lateral.dcm": "not_frontal", "torn without row.png": "image_without_row",
        "torn and given up.png": "unknown_label", "torn and contradicted.png": "malformed_file",
    }  # fmt: skip
    assert len(kept) + sum(item.scope == "image" for item in left_out) == len(files)
    assert kept | set(of_images) == set(files)
    assert {(item.image, item.scope, item.code) for item in left_out if item.scope != "image"} == {
        ("old.png", "value", "age_out_of_range"), ("twice.png", "row", "repeated_row"),
        ("gone.png", "row", "row_without_image"), ("row 3", "row", "unknown_label"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Two rows that the table's contract accepts."""
    records, _ = cataloged(
        tmp_path_factory.mktemp("sound"), {"a.png": png(1), "b.png": png(2)},
        ImageRow("a.png", "1", None, "S", "PA", 30.0, "M", "train", {"Mass": 1}, copy_of=("far", "a")),
        ImageRow("b.png", "2"),
    )  # fmt: skip
    return pa.Table.from_pylist(records, SCHEMA).to_pandas()


def test_a_sound_table_is_accepted(sound):
    assert TABLE.validate(sound, lazy=True) is not None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image", "b.png"), ("image", None), ("source", None), ("drawn", 1), ("patient_id", "7"),
        ("patient_id", None), ("patient_id", "G" * 32), ("study_id", "S1"), ("copy_of", "a.png"),
        ("view_position", "LL"),
        ("age_years", 412.0), ("age_years", -1.0), ("sex", "O"), ("split_official", "val"), ("width", 0),
        ("height", -3),
        ("sha256", "0" * 63), ("sha256", None), ("perceptual_hash", "0" * 17), ("perceptual_hash", None), ("Mass", 0.5),
        ("Mass", -1.0), ("Lung Cancer", 2.0),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(sound, column, value):
    wrong = sound.copy()
    wrong[column] = [value, *wrong[column].tolist()[1:]]
    with pytest.raises(SchemaErrors) as caught:
        TABLE.validate(wrong, lazy=True)
    assert column in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.drop(columns="Mass"),
        lambda rows: rows.assign(name="Doe"),
        lambda rows: rows[rows.columns[::-1]],
    ],
    ids=["missing", "more", "other order"],
)
def test_other_columns_are_refused(sound, change):
    with pytest.raises(SchemaErrors):
        TABLE.validate(change(sound), lazy=True)


def test_the_stage_catalogs_the_source_it_is_told_with_a_key_of_its_own(cohort, tmp_path):
    card, key, table = ROOT / "data/sources/synthetic.yaml", tmp_path / "key/pseudonym.key", tmp_path / "c/s.parquet"
    raw, shards = cohort / "raw/synthetic", cohort / "shards/synthetic"
    main("synthetic", str(raw), str(card), str(shards), str(key), str(table), str(tmp_path / "c/s.left_out.csv"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert pd.read_csv(tmp_path / "c/s.left_out.csv").empty
    records = pq.read_table(table).to_pylist()
    assert {record["source"] for record in records} == {"synthetic"}
    assert len({record["patient_id"] for record in records}) == 60
    assert all(record["drawn"] for record in records)
    # The drawn classes exclude each other; who has another disease has none of them.
    three = [tuple(record[name] for name in ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")) for record in records]
    assert set(three) == {(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (None, None, None)}
    assert {record["Fibrosis"] for record in records} == {None}  # never drawn


def test_a_source_whose_rows_do_not_meet_the_schema_stops_the_run_with_one_sentence(tmp_path):
    row = ImageRow("a.png", "1", sex="X")
    with pytest.raises(
        DataError, match=r"clinic does not meet its schema: 1 values of sex fail isin.*sources/clinic\.py"
    ):
        cataloged(tmp_path, {"a.png": png()}, row)
