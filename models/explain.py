"""Where on a radiograph a model saw a finding: its heat map, laid over the picture."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.radiograph import Radiograph

_MOST_OPAQUE = 0.6
_VIRIDIS = (
    "440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e 1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f "
    "d8e219 fde725"
)
"""Every 15th of the 256 colours of viridis (Smith and van der Walt 2015, CC0): of rising lightness, the same order to
the colour-blind, and, unlike cividis, nowhere grey as the radiograph is."""


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
    enlarged = Image.fromarray(heat).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    placed[top:bottom, left:right] = np.asarray(enlarged)
    hottest = placed.max()
    return placed / hottest if hottest > 0 else placed


def overlay(radiograph: Radiograph, heat: NDArray[np.float32], outline: NDArray[np.bool_] | None = None) -> bytes:
    """A radiograph under a heat map in colours, as a PNG file of the radiograph's size.

    Args:
        radiograph: (H, W).
        heat: (H, W) float32 in [0, 1], as `place_map` gives it; the hotter, the less of the radiograph shows.
        outline: (H, W), what is drawn white over both.
    """
    grey = radiograph.pixels[..., np.newaxis] * np.float32(255)
    opacity = heat[..., np.newaxis] * np.float32(_MOST_OPAQUE)
    colours = grey * (1 - opacity) + _coloured(heat) * opacity
    if outline is not None:
        colours[outline] = 255
    png = BytesIO()
    Image.fromarray(np.rint(colours).astype(np.uint8)).save(png, "PNG")
    return png.getvalue()


def _coloured(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 3) float32 in [0, 255] of (H, W) in [0, 1]."""
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _VIRIDIS.split()])
    places = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(heat, places, channel) for channel in anchors.T], axis=-1).astype(np.float32)
