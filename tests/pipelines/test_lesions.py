"""Lesions lie where their publisher says, in the geometry of the whole image."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.errors import DataError
from pipelines.catalog import SCHEMA
from pipelines.lesions import SIDE, Lesion, known_lesions, on_grid
from pipelines.raw import RawFiles
from pipelines.sources.source import Box


def mask(path, white):
    Image.fromarray(white).save(path)
    return path.name


def written(path, rows):
    table = pa.Table.from_pylist(rows, pa.schema([SCHEMA.field(name) for name in ("image", "boxes", "masks")]))
    pq.write_table(table, path)
    return path


def box(finding, *sides):
    return {"finding": finding} | dict(zip(("left", "top", "width", "height"), sides, strict=True))


def test_boxes_and_masks_are_told_by_image_and_finding(tmp_path):
    catalog = written(
        tmp_path / "nih.parquet",
        [
            {"image": "a.png", "boxes": [box("Mass", 0.5, 0.25, 0.25, 0.5), box("Mass", 0, 0, 0.5, 0.5)], "masks": []},
            {"image": "b.png", "boxes": [], "masks": [{"finding": "Nodule", "path": "b__Nodule.png"}]},
            {"image": "c.png", "boxes": None, "masks": None},
            {"image": "d.png", "boxes": [box("Hernia", 0, 0, 1, 1)], "masks": []},
        ],
    )
    assert known_lesions(catalog, ["Mass", "Nodule"]) == {
        "a.png": {"Mass": Lesion(boxes=(Box("Mass", 0.5, 0.25, 0.25, 0.5), Box("Mass", 0.0, 0.0, 0.5, 0.5)))},
        "b.png": {"Nodule": Lesion(masks=("b__Nodule.png",))},
    }


def test_the_drawn_source_shows_every_lesion_that_it_drew(cohort):
    found = known_lesions(cohort / "catalog/synthetic.parquet", ["Nodule", "Effusion"])
    rows = pq.read_table(cohort / "catalog/synthetic.parquet", columns=["image", "Nodule", "Effusion"]).to_pylist()
    drawn = {row["image"]: {name for name in ("Nodule", "Effusion") if row[name] == 1} for row in rows}
    assert {image: set(lesions) for image, lesions in found.items()} == {
        image: names for image, names in drawn.items() if names
    }
    raw = RawFiles(cohort / "raw/synthetic")
    for lesions in found.values():
        for lesion in lesions.values():
            assert on_grid(lesion, raw).any()


def test_a_box_is_a_share_of_the_image(tmp_path):
    grid = on_grid(Lesion(boxes=(Box("Mass", 0.5, 0.25, 0.25, 0.5),)), RawFiles(tmp_path))
    expected = np.zeros((SIDE, SIDE), bool)
    expected[56:168, 112:168] = True
    assert np.array_equal(grid, expected)


def test_several_boxes_are_one_lesion(tmp_path):
    boxes = (Box("Mass", 0.0, 0.0, 0.25, 0.25), Box("Mass", 0.5, 0.5, 0.25, 0.25))
    assert on_grid(Lesion(boxes=boxes), RawFiles(tmp_path)).sum() == 2 * 56 * 56


def test_a_box_to_the_very_edge_stays_inside(tmp_path):
    grid = on_grid(Lesion(boxes=(Box("Mass", np.float32(0.9), 0.0, np.float32(0.1), 1.0),)), RawFiles(tmp_path))
    assert grid.shape == (SIDE, SIDE)
    assert np.flatnonzero(grid.all(axis=0)).tolist() == list(range(201, 224))


@pytest.mark.parametrize("shape", [(448, 896), (112, 56), (224, 224), (301, 199)])
@pytest.mark.parametrize("kind", ["1", "L", "I;16"])
def test_a_mask_of_any_shape_lies_where_it_is_white(tmp_path, shape, kind):
    white = np.zeros(shape, bool)
    white[: shape[0] // 2, shape[1] // 2 :] = True
    levels = {"1": white, "L": white.astype(np.uint8) * 255, "I;16": white.astype(np.uint16) * 65535}[kind]
    grid = on_grid(Lesion(masks=(mask(tmp_path / "mask.png", levels),)), RawFiles(tmp_path))
    assert grid[:111, 113:].all()
    assert not grid[113:].any()
    assert not grid[:, :111].any()


def test_a_lesion_of_one_pixel_is_not_lost(tmp_path):
    white = np.zeros((2048, 2048), np.uint8)
    white[1000, 1500] = 255
    grid = on_grid(Lesion(masks=(mask(tmp_path / "mask.png", white),)), RawFiles(tmp_path))
    assert np.argwhere(grid).tolist() == [[109, 164]]


def broken():
    png = io.BytesIO()
    Image.fromarray(np.eye(64, dtype=np.uint8) * 255).save(png, "PNG")
    data = png.getvalue()
    return {"missing": None, "empty": b"", "text": b"white everywhere", "cut short": data[: len(data) // 2]}


@pytest.mark.parametrize("kind", broken())
def test_a_mask_that_cannot_be_read_is_named(tmp_path, kind):
    data = broken()[kind]
    if data is not None:
        (tmp_path / "mask.png").write_bytes(data)
    with pytest.raises(DataError, match=r"Expected the mask mask\.png .* Fetch the source again"):
        on_grid(Lesion(masks=("mask.png",)), RawFiles(tmp_path))
