"""Each image is read once; what cannot be read is listed, and too much of it stops the run."""

import csv

import numpy as np
import pytest

from models.errors import UnreadableImagesError
from models.reading import read_radiograph_file
from pipelines.catalog import catalog
from pipelines.params import Prepare
from pipelines.prepare import prepare
from pipelines.shards import read_shards
from pipelines.sources.source import ImageRow
from tests.pipelines.conftest import ListedSource, write_picture

ONE_PERCENT = Prepare(max_unreadable=0.01)


@pytest.fixture
def clinic(tmp_path, noise):
    """A hundred good images, with their catalog."""
    images = [f"{number:03d}.png" for number in range(100)]
    for image in images:
        write_picture(tmp_path / "raw" / image, noise)
    catalog(ListedSource("clinic", [ImageRow(image, image) for image in images]), tmp_path, tmp_path / "table.parquet")
    return tmp_path


def run(folder, settings=ONE_PERCENT):
    prepare(
        settings, "clinic", folder / "raw", folder / "table.parquet", folder / "shards", folder / "audit/unreadable.csv"
    )


def listing(folder):
    with (folder / "audit/unreadable.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def shards(folder):
    images = {path.name for path in (folder / "raw").iterdir()}
    return dict(read_shards(folder / "shards", images))


def test_pixels_are_those_of_the_file(clinic):
    run(clinic)
    found = shards(clinic)
    assert len(found) == 100
    for image, radiograph in found.items():
        assert np.array_equal(radiograph.pixels, read_radiograph_file(clinic / "raw" / image).pixels)
    assert listing(clinic) == []


def test_the_same_files_give_the_same_shards(clinic):
    run(clinic)
    first = (clinic / "shards/00000.parquet").read_bytes()
    run(clinic)
    assert (clinic / "shards/00000.parquet").read_bytes() == first


def test_images_are_scattered(clinic):
    run(clinic)
    order = [int(image[:3]) for image in shards(clinic)]
    assert sorted(order) == list(range(100))
    assert abs(np.corrcoef(order, range(100))[0, 1]) < 0.3


def test_one_unreadable_image_in_a_hundred_is_listed_and_the_run_goes_on(clinic):
    (clinic / "raw/042.png").write_text("not a picture")
    run(clinic)
    assert listing(clinic) == [
        {
            "image": "042.png",
            "code": "unknown_format",
            "reason": "Expected a PNG, JPEG or DICOM file, recognised by its content, but received text. "
            "Export the radiograph in one of these formats.",
        }
    ]
    assert set(shards(clinic)) == {f"{number:03d}.png" for number in range(100)} - {"042.png"}


def test_more_than_one_in_a_hundred_stops_the_run_with_a_complete_listing(clinic):
    (clinic / "raw/007.png").unlink()
    (clinic / "raw/042.png").write_bytes(b"")
    truncated = (clinic / "raw/077.png").read_bytes()[:200]
    (clinic / "raw/077.png").write_bytes(truncated)
    with pytest.raises(UnreadableImagesError) as caught:
        run(clinic)
    assert caught.value.values == {
        "unreadable": 3, "images": 100, "source": "clinic", "allowed": 0.01, "listing": clinic / "audit/unreadable.csv"
    }  # fmt: skip
    assert {row["image"]: row["code"] for row in listing(clinic)} == {
        "007.png": "malformed_file",
        "042.png": "malformed_file",
        "077.png": "malformed_file",
    }
    assert {row["image"]: row["reason"] for row in listing(clinic)}["007.png"].startswith(
        "Expected a complete image file, but it cannot be opened (No such file or directory)"
    )
    assert set(shards(clinic)) == {f"{n:03d}.png" for n in range(100)} - {"007.png", "042.png", "077.png"}


def test_no_unreadable_image_may_be_asked_for(clinic):
    (clinic / "raw/042.png").write_bytes(b"")
    with pytest.raises(UnreadableImagesError, match=r"1 of 100 images of clinic .* allowed 0\.0%"):
        run(clinic, Prepare(max_unreadable=0.0))


def test_drawn_images_are_all_packed(cohort):
    drawn = [path.name for path in (cohort / "raw/synthetic/images").iterdir()]
    found = dict(read_shards(cohort / "shards/synthetic", {f"images/{name}" for name in drawn}))
    assert len(found) == len(drawn)
    assert {radiograph.pixels.shape[0] for radiograph in found.values()} == {128}
