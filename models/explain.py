"""Where on a radiograph a model saw a finding: its heat map, laid over the picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.radiograph import GreyLevels, Radiograph

_MOST_OPAQUE = 0.6
VIRIDIS = (
    "440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e 1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f "
    "d8e219 fde725"
)
"""Every 15th of the 256 colours of viridis (Smith and van der Walt 2015, CC0): of rising lightness, the same order to
the colour-blind, and, unlike cividis, nowhere grey as the radiograph is."""

_NARROWEST_PX = 360
_LEGEND = ("low", "high")


def place_map(
    heat: NDArray[np.float32], region: tuple[int, int, int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """A heat map of what a model saw, in the geometry of the whole radiograph.

    Args:
        heat: (h, w) float32, not negative; see `models.bundle.Prediction.maps`.
        region: left, top, right and bottom edge, px, of what the model saw; see `Preprocessor.region`.
        shape: (H, W) of the radiograph.

    Returns:
        (H, W) float32 in [0, 1]: interpolated linearly, divided by its maximum, 0 outside the region; all 0 where
        `heat` is.
    """
    left, top, right, bottom = region
    placed = np.zeros(shape, np.float32)
    seen = placed[top:bottom, left:right]
    cv2.resize(heat, (right - left, bottom - top), dst=seen, interpolation=cv2.INTER_LINEAR)
    hottest = seen.max()
    if hottest > 0:
        seen /= hottest
    return placed


@dataclass(frozen=True, eq=False)
class Overlay:
    """A radiograph under a heat map in colours; a `models.png.Picture`, whose rows are coloured when asked for.

    Attributes:
        radiograph: (H, W).
        heat: (H, W) float32 in [0, 1], as `place_map` gives it; the hotter, the less of the radiograph shows.
        outline: (H, W), what is drawn white over both.
    """

    radiograph: Radiograph
    heat: NDArray[np.float32]
    outline: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return (*self.heat.shape, 3)

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        """(h, W, 3) uint8, red, green and blue of the rows."""
        colours = _laid_over(self.radiograph.levels[rows], self.heat[rows])
        if self.outline is not None:
            colours[self.outline[rows]] = 255
        return colours


def _laid_over(levels: GreyLevels, heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey = levels if levels.dtype == np.uint8 else cv2.convertScaleAbs(levels, alpha=1 / 257)
    steps = cv2.convertScaleAbs(heat, alpha=255)
    shown = cv2.multiply(grey, cv2.LUT(steps, _KEPT), scale=1 / 255)
    return cv2.add(cv2.merge([shown] * 3), cv2.applyColorMap(steps, _LAID)).astype(np.uint8, copy=False)


def caption(lines: Sequence[str], width: int) -> NDArray[np.uint8]:
    """What stands below an overlay: the legend of its colours, and lines of text.

    Args:
        lines: of text; broken where they are too long.
        width: of the overlay, px.

    Returns:
        (h, max(width, 360), 3) uint8.
    """
    broad = max(width, _NARROWEST_PX)
    size = max(12, broad // 45)
    rows = [row for line in lines for row in _broken(line, size, broad - 2 * size)]
    step = size * 3 // 2
    canvas = np.zeros((step * (len(rows) + 1) + size, broad, 3), np.uint8)
    low, high = (_word(word, size) for word in _LEGEND)
    left, right, top = size + low.shape[1] + size // 2, broad // 2 - high.shape[1] - size, size // 2
    canvas[top + size // 8 :, left:right][:size] = _coloured(np.linspace(0, 1, right - left)).round()
    _write(canvas, low, size, top)
    _write(canvas, high, right + size // 2, top)
    for number, row in enumerate(rows, start=1):
        for x, word in row:
            _write(canvas, _word(word, size), size + x, top + number * step)
    return canvas


def _write(canvas: NDArray[np.uint8], word: NDArray[np.uint8], left: int, top: int) -> None:
    height, width = word.shape
    place = canvas[top : top + height, left : left + width]
    place[:] = word[:, : place.shape[1], np.newaxis]  # a word may be broader than the canvas


def _broken(line: str, size: int, width: int) -> list[list[tuple[int, str]]]:
    """The words of a line, each with its distance from the left in px, on as many rows as they need."""
    rows: list[list[tuple[int, str]]] = [[]]
    x = 0
    for word in line.split():
        taken = _word(word, size).shape[1]
        if rows[-1] and x + taken > width:
            rows.append([])
            x = 0
        rows[-1].append((x, word))
        x += taken + size // 4
    return rows


@lru_cache(maxsize=1024)
def _word(word: str, size: int) -> NDArray[np.uint8]:
    """(h, w) white on black; kept, as FreeType takes some 10 ms for those of a caption."""
    font = ImageFont.load_default(size)
    picture = Image.new("L", (math.ceil(font.getlength(word)), size * 3 // 2))
    ImageDraw.Draw(picture).text((0, 0), word, 255, font)
    return np.asarray(picture)


def _coloured(heat: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, 3) in [0, 255] of (n,) in [0, 1]."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in VIRIDIS.split()])
    places = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(heat, places, channel) for channel in anchors.T], axis=-1)


_HEATS = np.linspace(0, 1, 256)
_KEPT = np.rint(255 * (1 - _MOST_OPAQUE * _HEATS)).astype(np.uint8)
"""How much of the radiograph shows at each of 256 heats."""

_LAID = np.rint(_coloured(_HEATS) * _MOST_OPAQUE * _HEATS[:, np.newaxis]).astype(np.uint8)[:, np.newaxis]
"""The colour that is added to it."""
