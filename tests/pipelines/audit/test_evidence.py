"""Catalogs, thumbnails, trivial features and embeddings, each in its image's place."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.audit.evidence import Evidence, load_evidence
from pipelines.embed import FEATURES, SCHEMA
from pipelines.facts import THUMBNAIL_PX, TRIVIAL
from pipelines.params import Prepare
from pipelines.shards import read_columns
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import ListedSource, write_catalog

ANY = Prepare(max_unreadable=0.9, executor="local")


def write_embeddings(data: Path, source: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Noise in place of features, in the shards' order as `embed` writes it; gives what was written."""
    tables = read_columns(data / "shards" / source, ("image", "refused_code"))
    rows = [row for table in tables for row in table.to_pylist()]
    names = [row["image"] for row in rows if row["refused_code"] is None]
    features = rng.uniform(0, 6, (len(names), FEATURES)).astype(np.float16)
    (data / "embeddings").mkdir(exist_ok=True)
    columns = [pa.array(names, pa.string()), pa.FixedSizeListArray.from_arrays(features.ravel(), FEATURES)]
    with pq.ParquetWriter(data / f"embeddings/{source}.parquet", SCHEMA) as writer:
        writer.write_table(pa.table(columns, SCHEMA), row_group_size=2)
    return dict(zip(names, features, strict=True))


def prepare_source(data: Path, name: str, rows, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A source of noise with these rows, through prepare, catalog and embed; gives its embeddings."""
    for number, row in enumerate(rows):
        path = data / "raw" / name / row.image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (96 + number, 96), np.uint8)).save(path)
    write_catalog(ListedSource(name, rows), data / "raw" / name, data, ANY)
    return write_embeddings(data, name, rng)


def loaded(data: Path, *sources: str) -> Evidence:
    return load_evidence(sources, data / "catalog", data / "shards", data / "embeddings")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three sources; of the second one an image cannot be read, of the third one nothing is kept."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(20260101)
    rows = [ImageRow(f"{name}.png", name, findings={"Mass": 1}) for name in ("c", "a", "b", "d", "e")]
    written = {"zeta": prepare_source(folder, "zeta", rows, rng)}
    torn = folder / "raw/alpha/torn.png"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"\x89PNG\r\n\x1a\n")
    left = [Exclusion("left.png", "not_frontal", "its view is L")]
    written["alpha"] = prepare_source(folder, "alpha", [ImageRow("y.png", "y"), *left, ImageRow("x.png", "x")], rng)
    written["lateral"] = prepare_source(folder, "lateral", left, rng)
    return folder, written


def test_images_are_in_the_order_of_sources_and_then_of_names(data):
    images = loaded(data[0], "zeta", "alpha").images
    assert images["image"].tolist() == ["a.png", "b.png", "c.png", "d.png", "e.png", "x.png", "y.png"]
    assert images["source"].tolist() == ["zeta"] * 5 + ["alpha"] * 2
    assert images.index.tolist() == list(range(7))
    assert loaded(data[0], "alpha", "zeta").images["source"].tolist() == ["alpha"] * 2 + ["zeta"] * 5


def test_thumbnails_features_and_embeddings_are_the_images_own(data):
    folder, written = data
    evidence = loaded(folder, "zeta", "alpha")
    assert evidence.thumbnails.shape == (7, THUMBNAIL_PX, THUMBNAIL_PX)
    assert evidence.embeddings.shape == (7, FEATURES)
    for place, (source, image) in enumerate(evidence.images[["source", "image"]].itertuples(index=False)):
        grey = np.asarray(Image.open(folder / "raw" / source / image))
        small = cv2.resize(grey, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
        assert np.abs(evidence.thumbnails[place].astype(int) - small).max() <= 1
        row = evidence.images.loc[place]
        assert row["mean"] == pytest.approx(small.mean() / 255, abs=1e-3)
        assert (row["width"], row["height"]) == grey.shape[::-1]
        assert np.array_equal(evidence.embeddings[place], written[source][image].astype(np.float32))
    assert set(TRIVIAL) <= set(evidence.images)
    assert evidence.images[list(TRIVIAL)].notna().all(axis=None)


def test_what_was_left_out_is_listed_with_its_source(data):
    left_out = loaded(data[0], "zeta", "alpha").left_out
    assert set(left_out[["source", "image", "scope", "code"]].itertuples(index=False, name=None)) == {
        ("alpha", "left.png", "image", "not_frontal"),
        ("alpha", "torn.png", "image", "image_without_row"),
    }


def test_findings_are_those_that_some_image_is_labelled_for(data):
    assert loaded(data[0], "zeta", "alpha").findings == ("Mass",)
    assert loaded(data[0], "alpha").findings == ()


@pytest.mark.parametrize("sources", [("zeta", "lateral"), ("lateral", "zeta")])
def test_a_source_of_which_nothing_is_kept_adds_what_it_left_out(data, sources):
    evidence = loaded(data[0], *sources)
    assert evidence.images["image"].tolist() == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    assert evidence.left_out["source"].tolist() == ["lateral"]
    assert len(evidence.thumbnails) == len(evidence.embeddings) == 5
    assert evidence.findings == ("Mass",)
