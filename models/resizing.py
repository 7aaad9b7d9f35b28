"""Any size -> the size that weights want, as a product of the picture with two sparse matrices."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.radiograph import GreyLevels


def resized(levels: GreyLevels, height_px: int, width_px: int) -> NDArray[np.float32]:
    """(height_px, width_px) float32 in [0, 1], but for rounding, of (H, W) levels: what Pillow's "bilinear" gives.

    An antialiasing triangle filter, as wide as two pixels of the smaller size. Pillow's own works on one number after
    the other and on a float copy of the whole picture, which takes three to six times as long.
    """
    rows, columns = _triangles(levels.shape[0], height_px), _triangles(levels.shape[1], width_px)
    white = np.float32(np.iinfo(levels.dtype).max)
    grey: NDArray[np.float32] = (columns @ (rows @ levels).T).T / white
    return grey


@lru_cache(64)
def _triangles(side: int, wanted: int) -> csr_array:
    """(wanted, side) float32: what each pixel of a line of `side` adds to each of `wanted`; a row adds up to 1."""
    step = side / wanted
    reach = max(step, 1.0)
    middle = (np.arange(wanted)[:, np.newaxis] + 0.5) * step
    seen = np.floor(middle - reach).astype(np.intp) + np.arange(int(2 * reach) + 2)
    weights = np.maximum(0.0, 1 - np.abs(seen + 0.5 - middle) / reach)
    weights[(seen < 0) | (seen >= side)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    row, at = np.nonzero(weights)
    return csr_array((weights[row, at].astype(np.float32), (row, seen[row, at])), shape=(wanted, side))
