"""From a radiograph to what one set of weights wants to see; the settings are data and travel inside the bundle."""

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveInt

from models.radiograph import GreyLevels, Radiograph
from models.resizing import resized

_LOOKED_AT_PX = 256
_FLAT = 0.06
_MOST_CROPPED = 0.3
_TONES = 256


class Preprocessor(BaseModel):
    """Stretches a radiograph to the model's size, repeats the grey channel and scales the values.

    Attributes:
        height_px, width_px: size of the model input.
        channels: how often the grey channel is repeated.
        scale, offset: model input = grey * scale + offset, grey in [0, 1].
        crop_borders: whether flat borders are cut off first, as collimators and scanners leave them.
        tone: "as_is", or "equalised": each grey is replaced by the share of darker pixels, half of the equal ones
            counted, so that nothing is left of exposure, window and contrast curve, which tell the site rather than the
            disease.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height_px: PositiveInt
    width_px: PositiveInt
    channels: PositiveInt = 3
    scale: float = 1.0
    offset: float = 0.0
    crop_borders: bool = False
    tone: Literal["as_is", "equalised"] = "as_is"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the model input."""
        return self.height_px, self.width_px, self.channels

    def region(self, radiograph: Radiograph) -> tuple[int, int, int, int]:
        """Left, top, right and bottom edge, px, of the part of the radiograph that becomes the model input."""
        height, width = radiograph.levels.shape
        if not self.crop_borders:
            return 0, 0, width, height
        step = max(1, min(height, width) // _LOOKED_AT_PX)
        seen = radiograph.levels[::step, ::step]
        top, bottom = _inner(seen, height, step)
        left, right = _inner(seen.T, width, step)
        return left, top, right, bottom

    def grey(self, radiograph: Radiograph, region: tuple[int, int, int, int] | None = None) -> NDArray[np.float32]:
        """(height_px, width_px) float32 in [0, 1]: resized with an antialiasing triangle filter, not yet scaled.

        Args:
            radiograph: the whole of it.
            region: of it, where that is known already.
        """
        left, top, right, bottom = region or self.region(radiograph)
        grey = np.clip(resized(radiograph.levels[top:bottom, left:right], self.height_px, self.width_px), 0.0, 1.0)
        return _equalised(grey) if self.tone == "equalised" else grey

    def model_input(self, grey: NDArray[np.float32]) -> NDArray[np.float32]:
        """(height_px, width_px, channels) float32 from what `grey` gave."""
        scaled = grey * np.float32(self.scale) + np.float32(self.offset)
        return np.repeat(scaled[..., np.newaxis], self.channels, axis=-1)

    def __call__(self, radiograph: Radiograph, region: tuple[int, int, int, int] | None = None) -> NDArray[np.float32]:
        """(height_px, width_px, channels) float32, as the weights want it; arguments as those of `grey`."""
        return self.model_input(self.grey(radiograph, region))

    def digest(self) -> str:
        """`sha256:` and the hash of the settings; equal settings have equal digests."""
        return "sha256:" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def _inner(seen: GreyLevels, side: int, step: int) -> tuple[int, int]:
    """Begin and end, px of the full side, of the rows between the flat ones at both edges.

    A row is flat where its greys, but for 2 % at either end such as a marker's, differ by less than 6 % of the scale.
    """
    # In 16 bits, which NumPy sorts by vector instructions; 8 take it ten times as long.
    ordered = np.sort(seen.astype(np.uint16), axis=1)
    difference = _quantile(ordered, 0.98) - _quantile(ordered, 0.02)
    rich = np.flatnonzero(difference >= _FLAT * np.iinfo(seen.dtype).max)
    most = int(_MOST_CROPPED * len(seen))
    if not len(rich):
        return 0, side
    first, last = min(int(rich[0]), most), max(int(rich[-1]), len(seen) - 1 - most)
    return first * step, min(side, (last + 1) * step)


def _quantile(ordered: NDArray[np.uint16], share: float) -> NDArray[np.float64]:
    """Of each row, whose values ascend: that which so many are below; straight between two of them."""
    at = share * (ordered.shape[1] - 1)
    below = int(at)
    pair = ordered[:, below : below + 2].astype(np.float64)
    quantile: NDArray[np.float64] = pair[:, 0] + (at - below) * (pair[:, -1] - pair[:, 0])
    return quantile


def _equalised(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The share of darker pixels, half of the equal ones counted, at each of 256 levels; straight between them."""
    levels = grey * np.float32(_TONES - 1)
    counts = np.bincount((levels + np.float32(0.5)).astype(np.intp).ravel(), minlength=_TONES)
    shares = (np.cumsum(counts) - counts / 2) / grey.size
    rises = np.append(np.diff(shares), 0.0)
    below = levels.astype(np.intp)
    equalised: NDArray[np.float32] = (shares[below] + (levels - below) * rises[below]).astype(np.float32)
    return equalised
