"""How fast `prepare` is beside the image library alone, how its memory grows, and how the search for copies does."""

import io
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from pydicom.data import get_testdata_file
from scipy.ndimage import gaussian_filter

from models.reading import read_radiograph_file
from pipelines.audit.overlaps import find_overlaps
from pipelines.params import Prepare
from pipelines.prepare import prepare
from pipelines.raw import RawFiles
from pipelines.shards import IMAGES_A_SHARD
from pipelines.sources.folder import Folder
from pipelines.spread import EXECUTORS

ROUNDS = 3
IMAGES = 2048
SETTINGS = Prepare(max_unreadable=0.0, executor="local")


def simulated(count: int, side_px: int, picture_format: str, archive: Path) -> Path:
    """One real radiograph of pydicom-data, resized and shifted so many times; packed as `thorax data fetch` packs."""
    radiograph = read_radiograph_file(str(get_testdata_file("RG1_UNCR.dcm", download=False)))
    grey = Image.fromarray((radiograph.pixels * 255).astype(np.uint8)).resize((side_px, side_px))
    options: dict[str, Any] = {"quality": 95} if picture_format == "jpeg" else {}
    files = [io.BytesIO() for _ in range(min(count, 64))]
    for number, file in enumerate(files):
        Image.fromarray(np.roll(np.asarray(grey), number, axis=0)).save(file, picture_format, **options)
    with zipfile.ZipFile(archive, "w") as opened:
        for number in range(count):
            opened.writestr(f"{number:06d}.{picture_format}", files[number % len(files)].getvalue())
    return archive.parent


def _decode(part: tuple[Path, list[str]]) -> None:
    raw = RawFiles(part[0])
    for path in part[1]:
        Image.open(io.BytesIO(raw.read(path))).load()


def decode_only(raw_dir: Path) -> None:
    """Pillow alone, in as many processes as `prepare` takes."""
    paths = RawFiles(raw_dir).paths
    parts = [(raw_dir, paths[start : start + IMAGES_A_SHARD]) for start in range(0, len(paths), IMAGES_A_SHARD)]
    for _ in EXECUTORS["local"](_decode, parts):
        pass


def prepare_rate(side_px: int, picture_format: str) -> float:
    """The rate of `prepare` as a share of the rate of decoding alone; both with their processes' start."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "raw").mkdir()
        raw_dir = simulated(IMAGES, side_px, picture_format, folder / "raw/files-00000.zip")
        ratios = []
        for _ in range(ROUNDS):
            started = perf_counter()
            decode_only(raw_dir)
            decoded = perf_counter()
            prepare(SETTINGS, Folder(), RawFiles(raw_dir), folder / "preparing", folder / "shards")
            ratios.append((decoded - started) / (perf_counter() - decoded))
        return median(ratios)


def prepare_peak_mib(count: int) -> float:
    """Peak resident memory in MiB of the largest process of the stage; it lists all images, and holds few."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "raw").mkdir()
        simulated(count, 48, "png", folder / "raw/files-00000.zip")
        command = [sys.executable, "-P", "-m", "tests.bench.preparing", scratch]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return float(said[-1])


def _prepare_and_tell(folder: Path) -> None:
    prepare(SETTINGS, Folder(), RawFiles(folder / "raw"), folder / "preparing", folder / "shards")
    kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    sys.stdout.write(f"{kib / 1024:.0f}\n")


def search_seconds(count: int) -> float:
    """The whole search for copies among so many different thumbnails, none a copy."""
    rng = np.random.default_rng(1)
    chest = gaussian_filter(rng.random((96, 96)), 12)
    thumbnails = np.stack(list(_thumbnails(count, chest, rng)))
    names = [f"{number:06d}" for number in range(count)]
    images = pd.DataFrame({"source": "simulated", "image": names, "drawn": False, "copy_of": None})
    images = images.assign(
        width=96, height=96, sha256=names, perceptual_hash=[f"{number:016x}" for number in range(count)]
    )
    started = perf_counter()
    find_overlaps(images, thumbnails, EXECUTORS["local"])
    return perf_counter() - started


def _thumbnails(count: int, chest: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All alike from afar, as chests are, and different near by."""
    for _ in range(count):
        small = rng.normal(size=(24, 24)).astype(np.float32)
        detail = np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC))
        picture = chest + 0.25 * chest.std() * detail
        yield ((picture - picture.min()) / np.ptp(picture) * 255).astype(np.uint8)


if __name__ == "__main__":
    _prepare_and_tell(Path(sys.argv[1]))
