"""Each image is packed once, to the pixel; a killed run is gone on from; too much that is unreadable stops it."""

import csv
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from models.errors import RawDataMissingError, UnreadableImagesError
from models.reading import read_radiograph
from pipelines.params import Prepare
from pipelines.prepare import prepare
from pipelines.raw import RawFiles
from pipelines.shards import read_columns, read_shards
from pipelines.sources import find_source
from tests.pipelines.conftest import ROOT, start_stage, write_params, write_picture

FOLDER = find_source("folder")


def run(folder, source=FOLDER, executor="local", allowed=0.01, shards="shards"):
    settings = Prepare(max_unreadable=allowed, executor=executor)
    prepare(settings, source, RawFiles(folder / "raw"), folder / "preparing", folder / shards)


def png(levels):
    target = BytesIO()
    Image.fromarray(levels).save(target, "PNG")
    return target.getvalue()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def states(folder):
    """Tells for each finished shard whether it was written again."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.parquet")}


def refused(folder):
    tables = read_columns(folder, ("image", "refused_code", "refused_reason", "packed", "sha256"))
    return {row.pop("image"): row for table in tables for row in table.to_pylist() if row["refused_code"]}


@pytest.fixture
def mixed(tmp_path, noise):
    """Images of each kind, plain and in an archive, and a file that is none."""
    raw = tmp_path / "raw"
    write_picture(raw / "NORMAL/eight.png", noise, 40)
    Image.fromarray(noise.integers(0, 65536, (37, 51), np.uint16)).save(raw / "NORMAL/sixteen.png")
    Image.fromarray(noise.integers(0, 256, (40, 50, 3), np.uint8)).save(raw / "colour.PNG")
    Image.fromarray(noise.integers(0, 256, (48, 64), np.uint8)).save(raw / "NORMAL/lossy.jpg")
    shutil.copy(str(get_testdata_file("MR_small.dcm", download=False)), raw / "instance.dcm")
    with zipfile.ZipFile(raw / "part.zip", "w") as archive:
        archive.writestr("PNEUMONIA/in an archive.png", png(noise.integers(0, 256, (33, 35), np.uint8)))
        archive.writestr("PNEUMONIA/deep/sixteen.png", png(noise.integers(0, 65536, (35, 33), np.uint16)))
    (raw / "README.txt").write_text("not an image")
    return tmp_path


def test_each_image_is_packed_to_the_pixel(mixed):
    run(mixed)
    found = dict(read_shards(mixed / "shards"))
    assert set(found) == {
        "NORMAL/eight.png", "NORMAL/sixteen.png", "colour.PNG", "NORMAL/lossy.jpg", "instance.dcm",
        "PNEUMONIA/in an archive.png", "PNEUMONIA/deep/sixteen.png",
    }  # fmt: skip
    raw = RawFiles(mixed / "raw")
    for image, radiograph in found.items():
        expected = read_radiograph(raw.read(image)).levels
        assert radiograph.levels.dtype == expected.dtype, image
        assert np.array_equal(radiograph.levels, expected), image
    assert found["NORMAL/sixteen.png"].levels.dtype == np.uint16
    assert found["NORMAL/lossy.jpg"].levels.dtype == np.uint8


def test_facts_are_packed_with_the_image(mixed):
    run(mixed)
    columns = ("image", "height", "width", "modality", "sha256", "refused_code")
    (instance,) = (
        row for table in read_columns(mixed / "shards", columns) for row in table.to_pylist() if row["modality"]
    )
    assert instance == {
        "image": "instance.dcm", "height": 64, "width": 64, "modality": "MR", "refused_code": None,
        "sha256": hashlib.sha256((mixed / "raw/instance.dcm").read_bytes()).hexdigest(),
    }  # fmt: skip


def test_a_source_with_a_format_of_its_own_is_decoded_by_it(tmp_path):
    (tmp_path / "raw").mkdir()
    codes = (np.arange(2048 * 2048) % 4096).astype(">u2")  # of 12 bits, 0 white
    (tmp_path / "raw/JPCLN001.IMG").write_bytes(codes.tobytes())
    jsrt = find_source("jsrt")
    run(tmp_path, jsrt)
    ((image, radiograph),) = read_shards(tmp_path / "shards")
    assert image == "JPCLN001.IMG"
    assert np.array_equal(radiograph.levels, jsrt.decode(codes.tobytes()).levels)


# Ray Data warns of settings of its own
@pytest.mark.usefixtures("ray_cluster")
def test_a_ray_cluster_gives_the_same_shards(tmp_path, noise):
    write_many(tmp_path / "raw", noise, 300)
    (tmp_path / "raw/torn.png").write_bytes(b"")
    run(tmp_path)
    run(tmp_path, executor="ray", shards="by ray")
    assert set(contents(tmp_path / "shards")) == {"00000.parquet", "00001.parquet"}
    assert contents(tmp_path / "by ray") == contents(tmp_path / "shards")


def write_many(raw, noise, count, side_px=32):
    """An archive of so many images, half of them in either class; some look the same."""
    raw.mkdir(parents=True, exist_ok=True)
    pictures = [png(noise.integers(0, 256, (side_px, side_px), np.uint8)) for _ in range(16)]
    with zipfile.ZipFile(raw / "all.zip", "w") as archive:
        for number in range(count):
            folder = "NORMAL" if number < count / 2 else "PNEUMONIA"
            archive.writestr(f"{folder}/{number:04d}.png", pictures[number % 16])


def test_images_are_in_an_order_that_no_class_has_a_say_in(tmp_path, noise):
    write_many(tmp_path / "raw", noise, 512)
    run(tmp_path)
    tables = list(read_columns(tmp_path / "shards", ("image",)))
    order = [image for table in tables for image in table["image"].to_pylist()]
    assert len(set(order)) == len(order) == 512
    # Of each 64 in a row, the spread of a fair coin is 4.
    normal = [sum(image.startswith("NORMAL") for image in order[start : start + 64]) for start in range(0, 512, 64)]
    assert all(20 <= count <= 44 for count in normal), normal
    numbers = [int(image[-8:-4]) for image in order]
    assert abs(np.corrcoef(numbers, range(512))[0, 1]) < 0.15


def spoil(folder, *names):
    """A hundred images, some of them torn each in its own way, one in a damaged archive."""
    raw = folder / "raw"
    noise = np.random.default_rng(5)
    for number in range(96):
        write_picture(raw / f"{number:03d}.png", noise)
    pictures = {name: png(noise.integers(0, 256, (32, 32), np.uint8)) for name in ("a.png", "b.png")}
    with zipfile.ZipFile(raw / "part.zip", "w") as archive:
        for name, data in pictures.items():
            archive.writestr(name, data)
    whole = png(noise.integers(0, 256, (32, 32), np.uint8))
    kinds = {"text.png": b"not a picture", "empty.png": b"", "cut.png": whole[:200],
             "small.png": png(np.arange(31 * 40, dtype=np.uint16).reshape(31, 40))}  # fmt: skip
    for name in names:
        if name == "torn.png":
            path = raw / "part.zip"
            path.write_bytes(path.read_bytes().replace(pictures["a.png"], pictures["a.png"][:-9] + b"damaged!!"))
        else:
            (raw / name).write_bytes(kinds[name])


def test_an_unreadable_image_is_in_its_shard_with_the_reason_in_its_place(tmp_path):
    spoil(tmp_path, "text.png")
    run(tmp_path, allowed=0.02)
    assert refused(tmp_path / "shards") == {
        "text.png": {
            "refused_code": "unknown_format",
            "refused_reason": "Expected a PNG, JPEG or DICOM file, recognised by its content, but received text. "
            "Export the radiograph in one of these formats.",
            "packed": None,
            "sha256": None,
        }
    }
    assert set(dict(read_shards(tmp_path / "shards"))) == {*(f"{number:03d}.png" for number in range(96)), "a.png",
                                                           "b.png"}  # fmt: skip
    assert set(contents(tmp_path / "shards")) == {"00000.parquet"}
    assert not (tmp_path / "preparing").exists()


def test_too_many_stop_the_run_with_a_complete_listing(tmp_path):
    spoil(tmp_path, "text.png", "empty.png", "cut.png", "small.png", "torn.png")
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/00000.parquet").write_bytes(b"of a run before")
    with pytest.raises(UnreadableImagesError) as caught:
        run(tmp_path)
    assert caught.value.values == {
        "unreadable": 5, "images": 102, "source": "folder", "allowed": 0.01,
        "listing": tmp_path / "preparing/unreadable.csv",
    }  # fmt: skip
    with (tmp_path / "preparing/unreadable.csv").open(newline="", encoding="utf-8") as file:
        listing = {row["image"]: (row["code"], row["reason"]) for row in csv.DictReader(file)}
    assert {image: code for image, (code, _) in listing.items()} == {
        "text.png": "unknown_format", "empty.png": "malformed_file", "cut.png": "malformed_file",
        "small.png": "unusable_radiograph", "a.png": "malformed_file",
    }  # fmt: skip
    assert "it is empty" in listing["empty.png"][1]
    assert "it has only 40 x 31 pixels" in listing["small.png"][1]
    assert "it cannot be opened (torn inside its archive)" in listing["a.png"][1]
    # What was there before stays.
    assert contents(tmp_path / "shards") == {"00000.parquet": b"of a run before"}


def test_exactly_as_many_as_allowed_are_fine(tmp_path):
    for number in range(9):
        write_picture(tmp_path / f"raw/{number}.png", np.random.default_rng(number))
    (tmp_path / "raw/torn.png").write_bytes(b"")
    with pytest.raises(UnreadableImagesError, match=r"1 of 10 images of folder .* allowed 9\.9%"):
        run(tmp_path, allowed=0.099)
    before = states(tmp_path / "preparing")
    run(tmp_path, allowed=0.1)
    # Nothing was decoded again, and the listing of the run before is gone.
    assert states(tmp_path / "shards") == before
    assert set(contents(tmp_path / "shards")) == {"00000.parquet"}


def test_a_changed_image_starts_afresh(tmp_path):
    write_picture(tmp_path / "raw/good.png", np.random.default_rng(1))
    (tmp_path / "raw/bad.png").write_bytes(b"torn")
    with pytest.raises(UnreadableImagesError):
        run(tmp_path)
    before = states(tmp_path / "preparing")
    write_picture(tmp_path / "raw/bad.png", np.random.default_rng(2))
    run(tmp_path)
    assert states(tmp_path / "shards") != before
    assert set(dict(read_shards(tmp_path / "shards"))) == {"good.png", "bad.png"}


def test_a_new_image_starts_afresh(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/bad.png").write_bytes(b"torn")
    with pytest.raises(UnreadableImagesError):
        run(tmp_path)
    write_picture(tmp_path / "raw/good.png", np.random.default_rng(1))
    run(tmp_path, allowed=0.5)
    assert set(dict(read_shards(tmp_path / "shards"))) == {"good.png"}
    assert set(refused(tmp_path / "shards")) == {"bad.png"}


def test_no_image_is_an_error_with_the_remedy(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(RawDataMissingError) as caught:
        run(tmp_path)
    assert caught.value.values == {
        "expected": "images of folder", "folder": tmp_path / "raw", "remedy": "Run: thorax data fetch folder"
    }  # fmt: skip


WORDS = ("folder", "raw", "preparing", "shards")
SHARDS = 10


@pytest.fixture(scope="module")
def restarted(tmp_path_factory):
    """What a killed run had finished, and what is there after the next; with an uninterrupted run beside."""
    folder = tmp_path_factory.mktemp("killed")
    write_params(folder)
    write_many(folder / "raw", np.random.default_rng(7), SHARDS * 256 - 100, side_px=64)
    first = start_stage(folder, "prepare", *WORDS)
    while first.poll() is None and not states(folder / "preparing"):
        time.sleep(0.002)
    first.send_signal(signal.SIGKILL)
    _, complaints = first.communicate(timeout=60)  # ends once its processes have, too
    assert first.returncode == -signal.SIGKILL, complaints
    finished = states(folder / "preparing")
    for number in range(SHARDS):
        path = folder / f"preparing/{number:05d}.parquet"
        if not path.exists():  # as the kill leaves a shard that was being written
            path.with_suffix(".unfinished").write_bytes(b"PAR1 and no more")
    assert not (folder / "shards").exists()
    second = start_stage(folder, "prepare", *WORDS)
    _, complaints = second.communicate()
    assert second.returncode == 0, complaints
    run(folder, shards="uninterrupted")
    return folder, finished


def test_a_killed_run_is_gone_on_from(restarted):
    folder, finished = restarted
    assert 0 < len(finished) < SHARDS
    assert len(states(folder / "shards")) == SHARDS
    assert finished.items() <= states(folder / "shards").items()


def test_after_a_kill_the_result_is_that_of_an_uninterrupted_run(restarted):
    folder, _ = restarted
    assert contents(folder / "shards") == contents(folder / "uninterrupted")
    assert set(contents(folder / "shards")) == {f"{number:05d}.parquet" for number in range(SHARDS)}


def test_other_code_that_reads_images_starts_afresh(tmp_path):
    for package in ("models", "pipelines"):
        shutil.copytree(ROOT / package, tmp_path / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
    write_params(tmp_path)
    write_picture(tmp_path / "raw/good.png", np.random.default_rng(1))
    (tmp_path / "raw/bad.png").write_bytes(b"torn")

    def state_after_run():
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pipelines.prepare", *WORDS], cwd=tmp_path, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "code")}, check=False,
        )  # fmt: skip
        assert re.match(r"1 of 2 images of folder cannot be read", done.stderr), done.stderr
        return states(tmp_path / "preparing")

    before = state_after_run()
    assert state_after_run() == before
    for module in ("models/raster.py", "pipelines/sources/source.py"):
        with (tmp_path / "code" / module).open("a") as file:
            file.write("# other code\n")
        after = state_after_run()
        assert after != before, module
        before = after


def test_drawn_images_are_all_packed(cohort):
    drawn = {f"images/{path.name}" for path in (cohort / "raw/synthetic/images").iterdir()}
    found = dict(read_shards(cohort / "shards/synthetic"))
    assert set(found) == drawn
    assert {radiograph.levels.shape[0] for radiograph in found.values()} == {128}
    assert {radiograph.levels.dtype for radiograph in found.values()} == {np.dtype(np.uint8)}
