"""Maps that point at the lesion hit it, maps that point elsewhere do not, and chance is told beside them."""

import base64
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.preprocessing import Preprocessor
from models.radiograph import Radiograph
from pipelines.catalog import SCHEMA
from pipelines.heat_maps import heat_map_figures, meet
from pipelines.lesions import SIDE
from tests.pipelines.bundles import stub_bundle, thoracic, write_radiographs

FINDINGS = ("Mass", "Nodule")


def lesion(top, left, bottom, right):
    grid = np.zeros((SIDE, SIDE), bool)
    grid[top:bottom, left:right] = True
    return grid


def hot(row, column, side=7):
    heat = np.zeros((side, side), np.float32)
    heat[row, column] = 3.0
    return heat


WHOLE = (0, 0, SIDE, SIDE)


def met(heat, grid, region=WHOLE):
    return meet("Mass", "someone", heat, region, grid)


def test_the_hottest_point_on_the_lesion_is_a_hit():
    assert met(hot(1, 5), lesion(32, 160, 64, 192)).hit  # a place has 32 x 32 px of 224


@pytest.mark.parametrize(("begins", "hit"), [(160, True), (175, True), (191, True), (192, False), (210, False)])
def test_a_hit_may_miss_the_lesion_by_15_px_of_224(begins, hit):
    # The middle of place (5, 5) is at 176.
    assert met(hot(5, 5), lesion(0, begins, SIDE, SIDE)).hit is hit


def test_the_tolerance_is_round():
    assert met(hot(5, 5), lesion(186, 186, SIDE, SIDE)).hit  # 10 and 10 px away: 14.1 px
    assert not met(hot(5, 5), lesion(188, 188, SIDE, SIDE)).hit  # 12 and 12 px away: 17.0 px


def test_a_map_without_heat_hits_nothing():
    found = met(np.zeros((7, 7), np.float32), lesion(0, 0, SIDE, SIDE))
    assert (found.hit, found.iou) == (False, 0.0)


def test_the_overlap_is_that_of_what_is_at_least_half_as_hot_as_the_hottest_point():
    # A ramp over the columns of a map as fine as the grid: half as hot from column 112 on.
    ramp = np.tile(np.arange(1, SIDE + 1, dtype=np.float32), (SIDE, 1))
    assert met(ramp, lesion(0, 111, SIDE, SIDE)).iou == 1
    assert met(ramp, lesion(0, 111, 112, SIDE)).iou == 0.5
    assert met(ramp, lesion(0, 0, SIDE, 111)).iou == 0


def test_chance_is_the_share_of_what_the_model_saw_that_would_be_a_hit():
    assert met(hot(0, 0), lesion(0, 0, SIDE, 97)).chance == pytest.approx(112 / 224)
    assert met(hot(0, 0), lesion(0, 0, SIDE, 97), region=(112, 0, SIDE, SIDE)).chance == 0


def test_a_map_of_a_part_lies_on_that_part():
    right = (112, 0, SIDE, SIDE)
    assert met(hot(3, 0), lesion(100, 112, 120, 130), right).hit
    assert not met(hot(3, 0), lesion(100, 0, 120, 60), right).hit


def bright_place(batch):
    """Each finding's map is where the picture is bright: a network that sees bright lesions only."""
    maps = batch.reshape(len(batch), 8, 8, 8, 8).mean(axis=(2, 4)).astype(np.float32)
    return np.full((len(batch), 2), 0.5, np.float32), np.repeat(maps[..., np.newaxis], 2, axis=-1)


def dark_place(batch):
    scores, maps = bright_place(batch)
    return scores, maps.max() - maps


def radiograph(row, column, shape=(128, 128)):
    levels = np.zeros(shape, np.uint8)
    height, width = shape[0] // 8, shape[1] // 8
    levels[row * height : (row + 1) * height, column * width : (column + 1) * width] = 200
    return Radiograph(levels)


def box(finding, row, column):
    return {"finding": finding, "left": column / 8, "top": row / 8, "width": 1 / 8, "height": 1 / 8}


@pytest.fixture
def data(tmp_path):
    """Twelve radiographs of as many patients, each with a bright place that a box frames, in turn mass and nodule."""
    places = {f"{at}.png": (at % 7, (3 * at) % 7) for at in range(12)}
    write_radiographs(tmp_path / "shards", "jsrt", {image: radiograph(*place) for image, place in places.items()})
    catalog = [
        {"image": image, "boxes": [box(FINDINGS[at % 2], *place)], "masks": []}
        for at, (image, place) in enumerate(places.items())
    ]
    (tmp_path / "catalog").mkdir()
    (tmp_path / "raw/jsrt").mkdir(parents=True)
    schema = pa.schema([SCHEMA.field(name) for name in ("image", "boxes", "masks")])
    pq.write_table(pa.Table.from_pylist(catalog, schema), tmp_path / "catalog/jsrt.parquet")
    rows = pd.DataFrame({"image": list(places), "source": "jsrt", "group": list(places), "split": "test"})
    return tmp_path, rows


@pytest.fixture
def settings(params):
    return params.evaluate


def figures(bundle, data, settings):
    folder, rows = data
    return heat_map_figures(bundle, rows, folder / "shards", folder / "raw", folder / "catalog", settings)


def test_a_model_that_looks_at_the_lesion_hits_and_one_that_looks_away_does_not(manifest, data, settings):
    of_lesions = thoracic(manifest, *FINDINGS)
    found = figures(stub_bundle(of_lesions, bright_place), data, settings)
    assert found["overall"]["hit_rate"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert found["overall"]["iou"]["value"] > 0.5
    away = figures(stub_bundle(of_lesions, dark_place), data, settings)
    assert away["overall"]["hit_rate"]["value"] < 0.5
    assert away["overall"]["chance"] == found["overall"]["chance"]
    assert 1 / 64 < found["overall"]["chance"] < 0.2


def test_each_finding_has_its_figures_and_they_add_up(manifest, data, settings):
    found = figures(stub_bundle(thoracic(manifest, *FINDINGS), bright_place), data, settings)
    assert list(found["findings"]) == ["Mass", "Nodule"]
    assert [of["lesions"] for of in found["findings"].values()] == [6, 6]
    assert found["overall"]["lesions"] == 12
    mean = np.mean([of["iou"]["value"] for of in found["findings"].values()])
    assert found["overall"]["iou"]["value"] == pytest.approx(mean)
    assert found["overall"]["iou"]["low"] <= mean <= found["overall"]["iou"]["high"]


def test_a_finding_that_the_model_does_not_answer_is_left_out(manifest, data, settings):
    found = figures(stub_bundle(thoracic(manifest, "Nodule", "Hernia"), bright_place), data, settings)
    assert list(found["findings"]) == ["Nodule"]


@pytest.mark.parametrize(("split", "counted"), [("external", True), ("train", False), ("validation", False)])
def test_only_images_that_chose_nothing_count(manifest, data, settings, split, counted):
    folder, rows = data
    found = figures(
        stub_bundle(thoracic(manifest, *FINDINGS), bright_place), (folder, rows.assign(split=split)), settings
    )
    assert bool(found) is counted


def test_without_known_lesions_there_is_nothing_to_say(manifest, data, settings):
    assert figures(stub_bundle(thoracic(manifest, "Hernia", "Edema"), bright_place), data, settings) == {}


def test_examples_are_one_a_finding_and_pictures_of_the_radiographs(manifest, data, settings):
    found = figures(stub_bundle(thoracic(manifest, *FINDINGS), bright_place), data, settings)
    assert [example["title"].partition(",")[0] for example in found["examples"]] == ["Mass: hit", "Nodule: hit"]
    for example in found["examples"]:
        with Image.open(BytesIO(base64.b64decode(example["png"]))) as picture:
            assert picture.size == (128, 128)
            assert np.asarray(picture).max() == 255


def test_a_cropped_border_moves_the_map_and_not_the_lesion(manifest, data, settings, tmp_path, noise):
    folder, _ = data
    framed = np.zeros((400, 300), np.uint8)
    framed[80:360, 60:270] = noise.integers(0, 120, (280, 210), np.uint8)
    framed[150:185, 100:126] = 255
    write_radiographs(tmp_path / "framed", "jsrt", {"framed.png": Radiograph(framed)})
    cropping = Preprocessor(height_px=64, width_px=64, channels=1, crop_borders=True)
    cropped = thoracic(manifest, *FINDINGS, preprocessing=cropping)
    schema = pa.schema([SCHEMA.field(name) for name in ("image", "boxes", "masks")])
    lesions = [box("Mass", 0, 0) | {"left": 100 / 300, "top": 150 / 400, "width": 26 / 300, "height": 35 / 400}]
    table = pa.Table.from_pylist([{"image": "framed.png", "boxes": lesions, "masks": []}], schema)
    pq.write_table(table, folder / "catalog/jsrt.parquet")
    rows = pd.DataFrame({"image": ["framed.png"], "source": "jsrt", "group": "a", "split": "test"})
    bundle = stub_bundle(cropped, bright_place)
    assert cropping.region(Radiograph(framed)) == (60, 80, 270, 360)
    found = heat_map_figures(bundle, rows, tmp_path / "framed", folder / "raw", folder / "catalog", settings)
    assert found["overall"]["hit_rate"]["value"] == 1
    assert found["overall"]["iou"]["value"] > 0.3
