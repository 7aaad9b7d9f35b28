"""Reads each image once and packs it into shards, in an order that no class, patient or date has a say in."""

import csv
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from models.errors import MalformedFileError, RadiographError, UnreadableImagesError
from models.reading import read_radiograph
from pipelines.params import Prepare, load_params
from pipelines.shards import IMAGES_A_GROUP, PackedImage, ShardWriter, pack
from pipelines.stage import progress, run_stage


def prepare(settings: Prepare, source: str, raw_dir: Path, table: Path, shards: Path, unreadable: Path) -> None:
    """Packs every image of the catalog that can be read; lists every other with its reason.

    Args:
        settings: the prepare section of params.yaml.
        source: its name, for messages.
        raw_dir: holds the images.
        table: the source's catalog.
        shards: the folder to fill.
        unreadable: a CSV of image, code and reason; it is there, if empty, after every run.

    Raises:
        UnreadableImagesError: more than `max_unreadable` of the images cannot be read; the CSV is complete.
    """
    images = sorted(pq.read_table(table, columns=["image"])["image"].to_pylist(), key=_scattered)
    unreadable.parent.mkdir(parents=True, exist_ok=True)
    read = partial(_read, raw_dir)
    bad = 0
    with ShardWriter(shards) as writer, unreadable.open("w", newline="", encoding="utf-8") as listing:
        reasons = csv.writer(listing)
        reasons.writerow(["image", "code", "reason"])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for group in progress(_groups(images), f"preparing {source}", -(-len(images) // IMAGES_A_GROUP)):
                packed: list[PackedImage] = []
                for image, result in zip(group, pool.map(read, group), strict=True):
                    if isinstance(result, RadiographError):
                        reasons.writerow([image, result.code, str(result)])
                        bad += 1
                    else:
                        packed.append(result)
                if packed:
                    writer.write(packed)
    if bad > settings.max_unreadable * len(images):
        raise UnreadableImagesError(
            unreadable=bad, images=len(images), source=source, allowed=settings.max_unreadable, listing=unreadable
        )


def _read(raw_dir: Path, image: str) -> PackedImage | RadiographError:
    try:
        return pack(image, read_radiograph((raw_dir / image).read_bytes()))
    except RadiographError as error:
        return error
    except OSError as error:
        return MalformedFileError(format="image", reason=f"it cannot be opened ({error.strerror})")


def _scattered(image: str) -> bytes:
    return hashlib.sha256(image.encode()).digest()


def _groups(images: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(images), IMAGES_A_GROUP):
        yield images[start : start + IMAGES_A_GROUP]


def main(source: str, raw_dir: str, table: str, shards: str, unreadable: str) -> None:
    """`python -m pipelines.prepare SOURCE RAW_DIR TABLE SHARDS UNREADABLE`."""
    prepare(load_params().prepare, source, Path(raw_dir), Path(table), Path(shards), Path(unreadable))


if __name__ == "__main__":
    run_stage(main)
