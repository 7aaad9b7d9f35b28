"""Photographs and micrographs that two installed libraries carry as samples; none is downloaded."""

from functools import cache

import numpy as np
import skimage.data
from sklearn.datasets import load_sample_image

from pipelines.decoys.film import Grey

SAMPLES = (
    *("astronaut", "brick", "cell", "chelsea", "clock", "coffee", "coins", "grass", "gravel", "horse"),
    *("hubble_deep_field", "immunohistochemistry", "logo", "moon", "page", "retina", "rocket"),
    *("shepp_logan_phantom", "text", "china.jpg"),
)
"""Those in the wheels of scikit-image and, with an ending, of scikit-learn; tests have `camera` and `flower.jpg`."""


def photograph(rng: np.random.Generator) -> Grey:
    """A part of a photograph, at least a third of each side, mirrored or turned by chance."""
    grey = _sample(SAMPLES[rng.integers(len(SAMPLES))])
    height, width = (max(64, int(side * rng.uniform(0.33, 1))) for side in grey.shape)
    top, left = (int(rng.integers(0, side - part + 1)) for side, part in zip(grey.shape, (height, width), strict=True))
    part = np.rot90(grey[top : top + height, left : left + width], rng.choice([0, 0, 1, 2, 3]))
    return part[:, :: rng.choice([-1, 1])]


@cache
def _sample(name: str) -> Grey:
    """(H, W) in [0, 1]."""
    picture = np.asarray(load_sample_image(name) if "." in name else getattr(skimage.data, name)())
    white = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    grey = picture.astype(np.float32) / np.float32(white)
    return grey[..., :3].mean(axis=-1) if grey.ndim == 3 else grey
