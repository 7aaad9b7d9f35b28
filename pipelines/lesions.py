"""Where publishers, or the one who drew, say that findings are: masks and boxes, on one small grid over the image."""

from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from models.errors import DataError
from pipelines.raw import RawFiles
from pipelines.sources.source import Box

Grid = NDArray[np.bool_]
SIDE = 224
"""Places of the grid along either side of the whole image, whatever its shape."""

_WHITE_FROM = 128


@dataclass(frozen=True, slots=True)
class Lesion:
    """Where one finding is on one image, once or several times.

    Attributes:
        boxes: around it.
        masks: paths below the source's raw folder of pictures, of the image's shape, that are white where it is.
    """

    boxes: tuple[Box, ...] = ()
    masks: tuple[str, ...] = ()


def known_lesions(catalog: Path, findings: Collection[str]) -> dict[str, dict[str, Lesion]]:
    """The lesions of each image of a source that has any, by finding.

    Args:
        catalog: the source's table.
        findings: whose lesions are asked for.
    """
    lesions: dict[str, dict[str, Lesion]] = {}
    for row in pq.read_table(catalog, columns=["image", "boxes", "masks"]).to_pylist():
        boxes = [Box(**box) for box in row["boxes"] or ()]
        masks = [(mask["finding"], mask["path"]) for mask in row["masks"] or ()]
        of_image = {
            finding: Lesion(
                tuple(box for box in boxes if box.finding == finding),
                tuple(path for of, path in masks if of == finding),
            )
            for finding in findings
        }
        if known := {finding: lesion for finding, lesion in of_image.items() if lesion.boxes or lesion.masks}:
            lesions[row["image"]] = known
    return lesions


def on_grid(lesion: Lesion, raw: RawFiles) -> Grid:
    """(SIDE, SIDE) bool over the whole image: a place belongs to the lesion where any part of it does.

    Args:
        lesion: to lay out.
        raw: the files of its source.

    Raises:
        DataError: a mask is not there or no picture.
    """
    grid = np.zeros((SIDE, SIDE), bool)
    for box in lesion.boxes:
        grid[_places(box.top, box.height), _places(box.left, box.width)] = True
    for path in lesion.masks:
        white = Image.fromarray((_grey(raw, path) >= _WHITE_FROM).astype(np.float32))
        grid |= np.asarray(white.resize((SIDE, SIDE), Image.Resampling.BOX)) > 0
    return grid


def _places(begin: float, length: float) -> slice:
    # Catalogs hold shares as float32: a box that ends at a place's edge must not reach into the next by rounding.
    return slice(int(begin * SIDE + 1e-3), int(np.ceil((begin + length) * SIDE - 1e-3)))


def _grey(raw: RawFiles, path: str) -> NDArray[np.uint8]:
    try:
        with Image.open(BytesIO(raw.read(path))) as picture:
            return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's readers raise all three for a broken file
        reason = f"Expected the mask {path} in {raw.folder}, but {error}. Fetch the source again."
        raise DataError(reason=reason) from error
