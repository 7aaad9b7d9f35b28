"""Shards give back every grey level of what was packed, and only what is asked for."""

from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.radiograph import Radiograph, RadiographTags
from models.reading import read_radiograph
from pipelines.shards import SCHEMA, pack, read_columns, read_shards, unpack, write_shard


def round_trip(levels):
    packed = pack(b"\x89PNG", Radiograph(levels))
    return unpack(packed["bits"], packed["packed"], *levels.shape).levels


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([np.uint8, np.uint16]), st.integers(1, 70), st.integers(1, 70), st.sampled_from([2, 255, 65536]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_level_survives_whatever_the_size(kind, height, width, spread, seed):
    high = min(spread, np.iinfo(kind).max + 1)
    levels = np.random.default_rng(seed).integers(0, high, (height, width), kind)
    found = round_trip(levels)
    assert found.dtype == kind
    assert np.array_equal(found, levels)


@pytest.mark.parametrize(
    "levels",
    [
        np.arange(65536, dtype=np.uint16).reshape(256, 256),
        np.array([[0, 65535, 0, 1, 65535, 65534]], np.uint16),  # one row, and differences that wrap around
        np.array([[255, 0, 255, 1, 254]], np.uint8),
        np.array([[7]], np.uint8),
        np.asfortranarray(np.arange(12, dtype=np.uint16).reshape(3, 4)),
        np.arange(24, dtype=np.uint16).reshape(4, 6)[::-1, ::2],
    ],
    ids=["all", "row", "bytes", "one", "columns first", "every second"],
)
def test_every_level_survives_wherever_it_lies(levels):
    assert round_trip(levels).tolist() == levels.tolist()


def test_a_smooth_picture_is_packed_in_less_than_half_its_bytes():
    levels = np.add.outer(np.arange(200), np.arange(300)).astype(np.uint16) * np.uint16(50)
    assert len(pack(b"", Radiograph(levels))["packed"]) < levels.nbytes / 2


def test_a_jpeg_stays_as_it_is():
    target = BytesIO()
    Image.fromarray(np.tile(np.arange(0, 200, 5, dtype=np.uint8), (40, 1))).save(target, "JPEG")
    data = target.getvalue()
    radiograph = read_radiograph(data)
    assert pack(data, radiograph) == {"bits": 0, "packed": data}
    assert np.array_equal(unpack(0, data, 40, 40).levels, radiograph.levels)


def test_tags_are_left_to_the_facts():
    packed = pack(b"", Radiograph(np.array([[1, 2]], np.uint8), RadiographTags(sex="F")))
    assert unpack(packed["bits"], packed["packed"], 1, 2).tags == RadiographTags()


def record(number):
    """A picture whose every level is its number."""
    radiograph = Radiograph(np.full((2, 3), number, np.uint16))
    return {"image": f"{number}.png", "height": 2, "width": 3} | pack(b"", radiograph)


REFUSED = {"image": "torn.png", "refused_code": "malformed_file", "refused_reason": "it is torn"}


@pytest.fixture
def shards(tmp_path):
    write_shard(tmp_path / "00000.parquet", iter([record(3), REFUSED, record(1)]))
    write_shard(tmp_path / "00001.parquet", iter([record(2), record(0)]))
    (tmp_path / "00002.unfinished").write_bytes(b"PAR1 and no more")
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, [3, 1, 2, 0]),
        ({"0.png", "3.png", "2.png", "9.png", "torn.png"}, [3, 2, 0]),
        ({"1.png": "a label"}.keys(), [1]),
        ([], []),
    ],
)
def test_the_images_asked_for_are_given_in_the_shards_order(shards, asked, expected):
    found = list(read_shards(shards, asked))
    assert [image for image, _ in found] == [f"{number}.png" for number in expected]
    assert [radiograph.levels.tolist() for _, radiograph in found] == [[[number] * 3] * 2 for number in expected]


def test_columns_are_read_with_those_of_refused_images(shards):
    tables = list(read_columns(shards, ("image", "refused_code", "refused_reason")))
    assert [table.column_names for table in tables] == [["image", "refused_code", "refused_reason"]] * 2
    assert [row for table in tables for row in table.to_pylist()] == [
        {"image": "3.png", "refused_code": None, "refused_reason": None},
        {"image": "torn.png", "refused_code": "malformed_file", "refused_reason": "it is torn"},
        {"image": "1.png", "refused_code": None, "refused_reason": None},
        {"image": "2.png", "refused_code": None, "refused_reason": None},
        {"image": "0.png", "refused_code": None, "refused_reason": None},
    ]


def test_a_group_holds_16_images_and_the_last_one_the_rest(tmp_path):
    write_shard(tmp_path / "00000.parquet", (record(number) for number in range(130)))
    metadata = pq.read_metadata(tmp_path / "00000.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [16] * 8 + [2]
    assert [image for image, _ in read_shards(tmp_path)] == [f"{number}.png" for number in range(130)]


def test_no_images_make_a_shard_of_the_same_columns(tmp_path):
    write_shard(tmp_path / "00000.parquet", iter([]))
    assert pq.read_schema(tmp_path / "00000.parquet").equals(SCHEMA)
    assert list(read_shards(tmp_path)) == []
    assert list(read_shards(tmp_path / "missing")) == []
