"""A row of ImageNet features for each readable image of a source, whatever else is in its batch."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.radiograph import Radiograph
from pipelines.embed import main
from pipelines.shards import pack, write_shard

READABLE = [f"{number}.png" for number in range(40)]
TWINS = ("3.png", "37.png")  # not of the same batch
FIRST_SHARD = 30


def record(image, radiograph):
    height, width = radiograph.levels.shape
    return {"image": image, "height": height, "width": width} | pack(b"", radiograph)


@pytest.fixture(scope="module")
def radiographs():
    noise = np.random.default_rng(20260102)
    made = {image: Radiograph(noise.integers(0, 256, (60, 50), np.uint8)) for image in READABLE}
    return made | {TWINS[1]: made[TWINS[0]]}


@pytest.fixture(scope="module")
def shards(tmp_path_factory, radiographs):
    folder = tmp_path_factory.mktemp("shards")
    records = [record(image, radiograph) for image, radiograph in radiographs.items()]
    refused = {"image": "torn.png", "refused_code": "malformed_file", "refused_reason": "it is torn"}
    write_shard(folder / "00000.parquet", iter([*records[:FIRST_SHARD], refused]))
    write_shard(folder / "00001.parquet", iter(records[FIRST_SHARD:]))
    return folder


def embedded(shards, folder):
    path = folder / "new" / "embeddings.parquet"
    main("noise", str(shards), str(path))
    return pq.read_table(path)


@pytest.fixture(scope="module")
def table(shards, tmp_path_factory):
    return embedded(shards, tmp_path_factory.mktemp("embeddings"))


def features(table):
    return dict(zip(table["image"].to_pylist(), np.array(table["embedding"].to_pylist(), np.float32), strict=True))


def test_every_readable_image_has_a_row_in_the_shards_order(table):
    assert table["image"].to_pylist() == READABLE
    assert table.schema.types == [pa.string(), pa.list_(pa.float16(), 1280)]
    assert table["embedding"].null_count == 0


def test_features_are_means_of_what_relu6_leaves(table):
    found = np.stack(list(features(table).values()))
    assert ((found >= 0) & (found <= 6)).all()
    assert len(np.unique(found, axis=0)) >= len(READABLE) - 1


def test_the_same_radiograph_has_the_same_features_whatever_its_neighbours(table, radiographs, tmp_path):
    alone = tmp_path / "shards"
    alone.mkdir()
    write_shard(alone / "00000.parquet", iter([record("alone.png", radiographs[TWINS[0]])]))
    found = features(table) | features(embedded(alone, tmp_path))
    for image in (TWINS[1], "alone.png"):
        np.testing.assert_allclose(found[image], found[TWINS[0]], rtol=1e-3, atol=1e-6)
    assert not np.allclose(found["4.png"], found[TWINS[0]], rtol=0.1)


def test_no_shards_give_an_empty_table_of_the_same_columns(table, tmp_path):
    (tmp_path / "shards").mkdir()
    empty = embedded(tmp_path / "shards", tmp_path)
    assert len(empty) == 0
    assert empty.schema == table.schema
