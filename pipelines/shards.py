"""Decoded images, packed: parquet files of losslessly compressed grey images and their facts, read a few at a time."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from numpy.typing import NDArray

from models.radiograph import GreyLevels, Radiograph
from models.reading import read_radiograph
from pipelines import facts

_ABOUT = (pa.field("image", pa.string(), nullable=False), *facts.SCHEMA)
_REFUSED = (pa.field("refused_code", pa.string()), pa.field("refused_reason", pa.string()))
SCHEMA = pa.schema([*_ABOUT, *_REFUSED, pa.field("bits", pa.int8()), pa.field("packed", pa.binary())])
"""`packed` is null where the image was refused; `refused_code` and `refused_reason` say why."""

IMAGES_A_GROUP = 16
IMAGES_A_SHARD = 256
_JPEG = b"\xff\xd8\xff"
# Differences of neighbours are small numbers in no order: nothing to find again in them, only to write in fewer bits.
# A tiny table for matches and long ones only makes zstd do that; measured on a chest of 1024 x 1024 px: 1.0 ms and
# 0.40 MB, with its default level 1 2.4 ms and 0.42 MB, and PNG 24 ms and 0.46 MB.
_COMPRESSION = zstandard.ZstdCompressionParameters(
    compression_level=1,
    window_log=20,
    hash_log=6,
    chain_log=6,
    min_match=7,
    target_length=0,
    strategy=zstandard.STRATEGY_FAST,
)


def pack(data: bytes, radiograph: Radiograph) -> dict[str, Any]:
    """The columns `bits` and `packed` of a radiograph, without loss.

    Args:
        data: the file; a JPEG stays as it is, for it is small and decoded as fast as anything unpacks.
        radiograph: what it holds.
    """
    if data.startswith(_JPEG):
        return {"bits": 0, "packed": data}
    levels = radiograph.levels
    difference: NDArray[Any] = np.empty(levels.shape, levels.dtype)
    difference[:, :1] = levels[:, :1]
    np.subtract(levels[:, 1:], levels[:, :-1], out=difference[:, 1:])
    # High and low bytes apart; nothing is copied where there is one byte.
    planes = np.ascontiguousarray(difference.view(np.uint8).reshape(-1, levels.itemsize).T)
    compressor = zstandard.ZstdCompressor(compression_params=_COMPRESSION)
    return {"bits": 8 * levels.itemsize, "packed": compressor.compress(planes.data)}


def unpack(bits: int, packed: bytes, height: int, width: int) -> Radiograph:
    """The radiograph that was packed, without its tags."""
    if bits == 0:
        return Radiograph(read_radiograph(packed).levels)
    planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(packed), np.uint8).reshape(bits // 8, -1)
    difference = np.ascontiguousarray(planes.T).view(f"u{bits // 8}").reshape(height, width)
    levels: GreyLevels = np.cumsum(difference, axis=1, dtype=difference.dtype)
    return Radiograph(levels)


def write_shard(path: Path, records: Iterator[dict[str, Any]]) -> None:
    """Writes records of `SCHEMA`, a group in memory at a time."""
    # Nobody asks for the least and the greatest image, and a page an image stays in the processor's cache: together
    # they make writing several times faster.
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_batch_size": 1}
    with pq.ParquetWriter(path, SCHEMA, **options) as writer:
        group: list[dict[str, Any]] = []
        for record in records:
            group.append(record)
            if len(group) == IMAGES_A_GROUP:
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                group.clear()
        if group:
            writer.write_table(pa.Table.from_pylist(group, SCHEMA))


def read_shards(folder: Path, images: Collection[str] | None = None) -> Iterator[tuple[str, Radiograph]]:
    """Images of a source with their radiographs, in the shards' order, one group in memory at a time.

    Args:
        folder: of the source's shards.
        images: their names; all that could be read by default.
    """
    for table in read_columns(folder, ("image", "bits", "packed", "height", "width")):
        for row in range(len(table)):
            image = table["image"][row].as_py()
            packed = table["packed"][row]
            if packed.is_valid and (images is None or image in images):
                height, width = table["height"][row].as_py(), table["width"][row].as_py()
                yield image, unpack(table["bits"][row].as_py(), packed.as_py(), height, width)


def read_columns(folder: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Arrow tables of these columns, a group each, in the shards' order; refused images too."""
    for shard in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=list(columns))
