"""Thumbnails as pictures of a page, and what images are called there: nothing of their files' names."""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.findings import FINDINGS
from pipelines.audit.evidence import Evidence
from pipelines.facts import THUMBNAIL_PX

MOST = 24
"""Pictures in a gallery, images on a contact sheet."""
_COLUMNS = 8
_NAME_DIGITS = 12
_QUALITY = 70
_GAP_PX = 2
_SURROUND = 24  # grey, around what is not square


@dataclass(frozen=True, slots=True)
class Picture:
    """What one or more images look like.

    Attributes:
        uri: a JPEG file as a data: URI.
        width, height: in pixels.
        names: of the images on it; none on a contact sheet.
        note: what is said of them.
    """

    uri: str
    width: int
    height: int
    names: list[str]
    note: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """The first pictures of what a table lists.

    Attributes:
        title: what they have in common.
        total: rows of the table.
        pictures: at most `MOST`.
    """

    title: str
    total: int
    pictures: list[Picture]


class Album:
    """The images of an audit, as a page shows them."""

    def __init__(self, evidence: Evidence) -> None:
        images = evidence.images
        self._images, self._thumbnails = images, evidence.thumbnails
        self._sizes = images[["width", "height"]].to_numpy(int)
        self._hashes = images["sha256"].to_numpy(str)
        self._places = {key: place for place, key in enumerate(zip(images["source"], images["image"], strict=True))}

    def gallery(
        self, title: str, table: pd.DataFrame, keys: Sequence[tuple[str, str]], note: Callable[[Any], str]
    ) -> Gallery:
        """A picture for each of the first rows of a table.

        Args:
            title: of the gallery.
            table: that lists images.
            keys: its columns of source and image, a pair for each image that a row names.
            note: what is said of a row.
        """
        pictures = []
        for row in table.head(MOST).itertuples():
            places = [self._places[getattr(row, source), getattr(row, image)] for source, image in keys]
            pictures.append(self._picture(places, note(row), [self._name(place) for place in places]))
        return Gallery(title, len(table), pictures)

    def sheets(self) -> Iterator[tuple[str, list[Picture]]]:
        """The contact sheets of each source: of all its images, then of those on which a finding is present."""
        images = self._images
        findings = [finding for finding in FINDINGS if (images[finding] == 1).any()]
        for source in images["source"].unique():
            ours = images["source"] == source
            present = {finding: ours & (images[finding] == 1) for finding in findings}
            chosen = {"All images": ours} | {finding: rows for finding, rows in present.items() if rows.any()}
            yield source, [self._sheet(title, np.flatnonzero(rows)) for title, rows in chosen.items()]

    def _sheet(self, title: str, places: NDArray[np.int64]) -> Picture:
        """Those of the least hashes: as good as drawn by lot, and ever the same."""
        shown = places[np.argsort(self._hashes[places], kind="stable")][:MOST]
        return self._picture(shown.tolist(), f"{title}: {len(shown)} of {len(places):,}", [])

    def _name(self, place: int) -> str:
        return f"{self._images['source'].iloc[place]} {self._hashes[place][:_NAME_DIGITS]}"

    def _picture(self, places: Sequence[int], note: str, names: list[str]) -> Picture:
        columns = min(_COLUMNS, len(places))
        side = THUMBNAIL_PX + 2 * _GAP_PX
        tiles = np.full((-(-len(places) // columns) * columns, side, side), _SURROUND, np.uint8)
        for tile, place in zip(tiles, places, strict=False):
            tile[_GAP_PX:-_GAP_PX, _GAP_PX:-_GAP_PX] = _tile(self._thumbnails[place], *self._sizes[place])
        grid = tiles.reshape(-1, columns, side, side).swapaxes(1, 2).reshape(-1, columns * side)
        jpeg = cv2.imencode(".jpg", grid, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        height, width = grid.shape
        return Picture(f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}", width, height, names, note)


def _tile(thumbnail: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """(96, 96): the thumbnail in its image's own shape, in the middle."""
    across, down = (max(1, round(THUMBNAIL_PX * length / max(width, height))) for length in (width, height))
    left, top = (THUMBNAIL_PX - across) // 2, (THUMBNAIL_PX - down) // 2
    tile = np.full((THUMBNAIL_PX, THUMBNAIL_PX), _SURROUND, np.uint8)
    tile[top : top + down, left : left + across] = cv2.resize(thumbnail, (across, down), interpolation=cv2.INTER_AREA)
    return tile
