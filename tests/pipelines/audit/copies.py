"""Copies of a radiograph as they go round: re-windowed, inverted, cropped, resized, recompressed, or all of it."""

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]

_MOST_CROPPED = 0.05
_JPEG_QUALITY = 30
_LEAST_PX = 48


def distorted(image: Grey, kind: str, rng: np.random.Generator) -> Grey:
    """A copy of a grey image.

    Args:
        image: (H, W) uint8.
        kind: one of `KINDS`.
        rng: draws how much is done; the same state gives the same copy.
    """
    for step in _STEPS[kind]:
        image = step(image, rng)
    return image


def _windowed(image: Grey, rng: np.random.Generator) -> Grey:
    low, high = np.percentile(image, [rng.uniform(0, 12), rng.uniform(88, 100)])
    shares = np.clip((image - low) / max(high - low, 1), 0, 1)
    return np.asarray(255 * shares ** rng.uniform(0.6, 1.6), np.uint8)


def _inverted(image: Grey, _: np.random.Generator) -> Grey:
    return 255 - image


def _perhaps_inverted(image: Grey, rng: np.random.Generator) -> Grey:
    return 255 - image if rng.random() < 0.5 else image


def _cropped(image: Grey, rng: np.random.Generator) -> Grey:
    height, width = image.shape
    top, bottom, left, right = rng.uniform(0, _MOST_CROPPED, 4)
    return image[int(top * height) : height - int(bottom * height), int(left * width) : width - int(right * width)]


def _resized(image: Grey, rng: np.random.Generator) -> Grey:
    factor = rng.uniform(0.5, 1.5)
    height, width = (max(_LEAST_PX, round(side * factor)) for side in image.shape)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _recompressed(image: Grey, _: np.random.Generator) -> Grey:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_JPEG_QUALITY)
    return np.asarray(Image.open(file))


_STEPS: Mapping[str, tuple[Callable[[Grey, np.random.Generator], Grey], ...]] = MappingProxyType(
    {
        "window": (_windowed,),
        "invert": (_inverted,),
        "crop": (_cropped,),
        "resize": (_resized,),
        "jpeg": (_recompressed,),
        "all": (_windowed, _perhaps_inverted, _cropped, _resized, _recompressed),
    }
)
KINDS = tuple(_STEPS)
