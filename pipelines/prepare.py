"""Reads each image once and packs it into shards, in an order that no class, patient or date has a say in."""

import csv
import hashlib
import inspect
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from models.errors import MalformedFileError, RadiographError, RawDataMissingError, UnreadableImagesError
from pipelines.facts import image_facts
from pipelines.params import Prepare, load_params
from pipelines.raw import RawFiles
from pipelines.shards import IMAGES_A_SHARD, pack, read_columns, write_shard
from pipelines.sources import find_source
from pipelines.sources.source import Source
from pipelines.spread import EXECUTORS
from pipelines.stage import progress, run_stage

_PLAN = "plan.json"
_CODE = (
    "pipelines/facts.py",
    "pipelines/shards.py",
    "models/dicom.py",
    "models/radiograph.py",
    "models/raster.py",
    "models/reading.py",
)


@dataclass(frozen=True, slots=True)
class _Shard:
    """Which images go into which file."""

    path: Path
    images: tuple[str, ...]


def prepare(settings: Prepare, source: Source, raw: RawFiles, scratch: Path, shards: Path) -> None:
    """Packs every image of the source; one that cannot be read is in its shard too, with the reason in its place.

    What a killed run has finished stays in `scratch`, and the next one goes on from there, if neither the files nor
    the code that reads them have changed meanwhile.

    Args:
        settings: the prepare section of params.yaml.
        source: whose images these are.
        raw: its files.
        scratch: a folder of this stage alone, gone at the end.
        shards: the folder that holds the shards then.

    Raises:
        RawDataMissingError: there is no image.
        UnreadableImagesError: more than `max_unreadable` of the images cannot be read; a CSV in `scratch` lists them.
    """
    images = sorted(raw.matching(source.images), key=_scattered)
    if not images:
        raise RawDataMissingError(
            expected=f"images of {source.name}", folder=raw.folder, remedy=f"Run: thorax data fetch {source.name}"
        )
    _resume(scratch, source, raw, images)
    plan = [
        _Shard(scratch / f"{number:05d}.parquet", tuple(images[start : start + IMAGES_A_SHARD]))
        for number, start in enumerate(range(0, len(images), IMAGES_A_SHARD))
    ]
    missing = [shard for shard in plan if not shard.path.exists()]
    work = EXECUTORS[settings.executor](partial(_write, source, raw.folder), missing)
    for _ in progress(work, f"preparing {source.name}", len(missing)):
        pass
    _check_refused(settings, source.name, scratch, len(images))
    (scratch / _PLAN).unlink()
    shutil.rmtree(shards, ignore_errors=True)
    shards.parent.mkdir(parents=True, exist_ok=True)
    scratch.rename(shards)


def _resume(scratch: Path, source: Source, raw: RawFiles, images: list[str]) -> None:
    """Leaves in `scratch` what the same plan has finished before, and nothing of another one."""
    files = [*(Path(__file__).parents[1] / name for name in _CODE), Path(inspect.getfile(source.decode))]
    code = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    plan = json.dumps({"code": code, "images": [[image, raw.state(image)] for image in images]})
    if not (scratch / _PLAN).exists() or (scratch / _PLAN).read_text(encoding="utf-8") != plan:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        (scratch / _PLAN).write_text(plan, encoding="utf-8")


def _write(source: Source, raw_dir: Path, shard: _Shard) -> None:
    """Writes one shard, whole or not at all."""
    raw = _opened(raw_dir)
    unfinished = shard.path.with_suffix(".unfinished")
    write_shard(unfinished, (_record(source, raw, image) for image in shard.images))
    unfinished.rename(shard.path)


_opened = lru_cache(maxsize=1)(RawFiles)  # a worker lists the files once, not for each shard


def _record(source: Source, raw: RawFiles, image: str) -> dict[str, Any]:
    try:
        data = raw.read(image)
        radiograph = source.decode(data)
    except RadiographError as error:
        return {"image": image, "refused_code": error.code, "refused_reason": str(error)}
    except OSError as error:
        refused = MalformedFileError(format="image", reason=f"it cannot be opened ({error.strerror})")
        return {"image": image, "refused_code": refused.code, "refused_reason": str(refused)}
    return {"image": image} | image_facts(data, radiograph) | pack(data, radiograph)


def _check_refused(settings: Prepare, source: str, scratch: Path, count: int) -> None:
    listing = scratch / "unreadable.csv"
    refused = list(_refused(scratch))
    if len(refused) <= settings.max_unreadable * count:
        listing.unlink(missing_ok=True)
        return
    with listing.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("image", "code", "reason"), *refused])
    raise UnreadableImagesError(
        unreadable=len(refused), images=count, source=source, allowed=settings.max_unreadable, listing=listing
    )


def _refused(folder: Path) -> Iterator[tuple[str, str, str]]:
    columns = ("image", "refused_code", "refused_reason")
    for table in read_columns(folder, columns):
        for row in table.filter(pc.is_valid(table["refused_code"])).to_pylist():
            yield row["image"], row["refused_code"], row["refused_reason"]


def _scattered(image: str) -> bytes:
    return hashlib.sha256(image.encode()).digest()


def main(source: str, raw_dir: str, scratch: str, shards: str) -> None:
    """`python -m pipelines.prepare SOURCE RAW_DIR SCRATCH SHARDS`."""
    prepare(load_params().prepare, find_source(source), RawFiles(Path(raw_dir)), Path(scratch), Path(shards))


if __name__ == "__main__":
    run_stage(main)
