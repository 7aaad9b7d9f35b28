"""How alike two thumbnails are: a descriptor that finds candidates, and a registration that confirms them.

The same radiograph comes re-windowed, inverted, resized, cropped and recompressed. Ranks of grey levels take away any
window; the sign of a product takes away an inversion; registration takes away resizing and cropping.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.facts import THUMBNAIL_PX

Thumbnail = NDArray[np.uint8]
Vectors = NDArray[np.float32]

DESCRIPTOR_LENGTH = 256
_CELLS = 16
_DETAIL_PX = 2.5  # of the blur that is taken away: what is left is ribs and vessels, not the look of every chest
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 25, 1e-3)
_EVERYWHERE = np.ones((THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)
_BLUR_PX = 5
_MAX_STRETCH = 0.15  # a copy cropped by 5 % a side is stretched by 11 %
_MAX_SHEAR = 0.1
_MAX_SHIFT = 0.12
_MIN_OVERLAP = 0.7


@dataclass(frozen=True, slots=True)
class Likeness:
    """How well one thumbnail lies over another.

    Attributes:
        correlation: of their detail after registration, in [0, 1]; 0 where they cannot be registered.
        inverted: whether one is the other's negative.
    """

    correlation: float
    inverted: bool


def view(thumbnail: Thumbnail, margins: NDArray[np.float64]) -> Thumbnail:
    """(96, 96) uint8: the thumbnail without its margins.

    Args:
        thumbnail: (96, 96).
        margins: shares taken off the left, the top, the right and the bottom.
    """
    left, top, right, bottom = np.rint(margins * THUMBNAIL_PX).astype(int)
    inner = np.ascontiguousarray(thumbnail[top : THUMBNAIL_PX - bottom, left : THUMBNAIL_PX - right])
    return np.asarray(cv2.resize(inner, thumbnail.shape, interpolation=cv2.INTER_LINEAR), np.uint8)


def descriptor(thumbnail: Thumbnail) -> Vectors:
    """(256,) float32 of unit length: ranks of the grey levels, averaged over 16 x 16 cells, without their mean."""
    small = cv2.resize(thumbnail, (4 * _CELLS, 4 * _CELLS), interpolation=cv2.INTER_AREA)
    ranks = _ranks(np.asarray(small, np.uint8)).reshape(_CELLS, 4, _CELLS, 4).mean((1, 3)).ravel()
    ranks -= ranks.mean()
    return np.asarray(ranks / max(float(np.linalg.norm(ranks)), 1e-9), np.float32)


def likeness(first: Thumbnail, second: Thumbnail) -> Likeness:
    """Registers the second (96, 96) thumbnail to the first by an affine map (ECC, Evangelidis and Psarakis 2008)."""
    fixed, moving = _ranks(first), _ranks(second)
    inverted = bool((fixed * moving).sum() < 0)
    if inverted:
        moving = -moving
    try:
        _, affine = cv2.findTransformECC(
            fixed, moving, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, _STEPS, _EVERYWHERE, _BLUR_PX
        )
    except cv2.error:  # it does not converge: they have nothing in common
        return Likeness(0.0, inverted)
    if not _is_plausible(np.asarray(affine)):
        return Likeness(0.0, inverted)
    return Likeness(_correlation(_detail(fixed), _detail(moving), np.asarray(affine)), inverted)


def _ranks(grey: Thumbnail) -> Vectors:
    """Each grey level's mean rank, float32 in [-0.5, 0.5]."""
    counts = np.bincount(grey.ravel(), minlength=256)
    table = (np.cumsum(counts) - counts / 2) / grey.size - 0.5
    return table.astype(np.float32)[grey]


def _detail(ranks: Vectors) -> Vectors:
    return np.asarray(ranks - cv2.GaussianBlur(ranks, (0, 0), _DETAIL_PX), np.float32)


def _is_plausible(affine: Vectors) -> bool:
    stretch = np.abs(affine[[0, 1], [0, 1]] - 1).max()
    shear = np.abs(affine[[0, 1], [1, 0]]).max()
    shift = np.abs(affine[:, 2]).max()
    return bool(stretch <= _MAX_STRETCH and shear <= _MAX_SHEAR and shift <= _MAX_SHIFT * THUMBNAIL_PX)


def _correlation(fixed: Vectors, moving: Vectors, affine: Vectors) -> float:
    size, flags = (THUMBNAIL_PX, THUMBNAIL_PX), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = np.asarray(cv2.warpAffine(moving, affine, size, flags=flags, borderValue=(np.nan,)))
    both = np.isfinite(warped)
    if both.mean() < _MIN_OVERLAP:
        return 0.0
    one, other = fixed[both] - fixed[both].mean(), warped[both] - warped[both].mean()
    length = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return max(0.0, float((one * other).sum()) / length) if length else 0.0
