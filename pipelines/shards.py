"""Decoded images, packed: parquet files of losslessly compressed grey images, read a few at a time."""

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from models.radiograph import Radiograph, from_grey_levels, to_grey_levels

SCHEMA = pa.schema([pa.field("image", pa.string()), pa.field("png", pa.binary())])
IMAGES_A_GROUP = 64
GROUPS_A_SHARD = 32
_LEVELS_OF_8_BIT = 257  # 65535 / 255


@dataclass(frozen=True, slots=True)
class PackedImage:
    """One image of a shard: its path in the catalog and its grey levels as PNG."""

    image: str
    png: bytes


def pack(image: str, radiograph: Radiograph) -> PackedImage:
    """The radiograph's pixels without loss: 8 bits where they suffice, else 16."""
    levels = to_grey_levels(radiograph)
    fits_8_bit = not np.any(levels % _LEVELS_OF_8_BIT)
    picture = Image.fromarray((levels // _LEVELS_OF_8_BIT).astype(np.uint8) if fits_8_bit else levels)
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=1)
    return PackedImage(image, png.getvalue())


def unpack(png: bytes) -> Radiograph:
    """The radiograph that was packed, without its tags."""
    levels = np.asarray(Image.open(io.BytesIO(png)))
    wide = levels.astype(np.uint16)
    return from_grey_levels(wide * np.uint16(_LEVELS_OF_8_BIT) if levels.dtype == np.uint8 else wide)


class ShardWriter:
    """Writes groups of packed images to `00000.parquet`, `00001.parquet`, ... in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._groups = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, group: list[PackedImage]) -> None:
        """Appends a group; at most `IMAGES_A_GROUP` keep reading in bounded memory."""
        if self._groups % GROUPS_A_SHARD == 0:
            self._close()
            path = self._folder / f"{self._groups // GROUPS_A_SHARD:05d}.parquet"
            self._writer = pq.ParquetWriter(path, SCHEMA, compression="none")
        columns = [[packed.image for packed in group], [packed.png for packed in group]]
        assert self._writer is not None  # noqa: S101 -- opened above
        self._writer.write_table(pa.table(columns, schema=SCHEMA))
        self._groups += 1

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def read_shards(folder: Path, images: Collection[str]) -> Iterator[tuple[str, Radiograph]]:
    """The named images of a source with their radiographs, in the shards' order, one group in memory at a time."""
    for shard in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for image, png in zip(table["image"].to_pylist(), table["png"], strict=True):
                    if image in images:
                        yield image, unpack(png.as_py())
