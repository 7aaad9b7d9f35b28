"""Pictures without an object: test charts, noise, gradients and blank films."""

import numpy as np

from pipelines.decoys.film import Grey, resized


def board(rng: np.random.Generator) -> Grey:
    """A checkerboard or bars, in two greys or, for bars, in many."""
    height, width = _size(rng)
    rows, columns = rng.integers(2, 16, 2)
    if rng.random() < 0.5:
        fields = np.indices((rows, columns)).sum(axis=0) % 2
    else:
        fields = rng.random((rows, 1)) if rng.random() < 0.5 else rng.random((1, columns))
    row, column = np.arange(height) * len(fields) // height, np.arange(width) * fields.shape[1] // width
    picture: Grey = fields[np.ix_(row, column)].astype(np.float32)
    return picture


def noise(rng: np.random.Generator) -> Grey:
    """Noise with details of one pixel up to a third of the picture."""
    height, width = _size(rng)
    step = np.exp(rng.uniform(0, np.log(height / 3)))
    coarse = rng.normal(0.5, 0.25, (max(3, int(height / step)), max(3, int(width / step)))).astype(np.float32)
    return resized(coarse, width, height)


def gradient(rng: np.random.Generator) -> Grey:
    """Grey that rises in some direction, or from a centre, as of a phantom of water."""
    height, width = _size(rng)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    turn = rng.uniform(-np.pi, np.pi)
    if rng.random() < 0.5:
        rising = (x * np.cos(turn) + y * np.sin(turn)) / 2.8 + 0.5
    else:
        rising = 1 - np.hypot(x - rng.uniform(-0.5, 0.5), y - rng.uniform(-0.5, 0.5)) / 1.6
    picture: Grey = np.clip(rising, 0, 1).astype(np.float32)
    return picture


def blank(rng: np.random.Generator) -> Grey:
    """A film on which there is nothing."""
    return np.full(_size(rng), rng.random(), np.float32)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(200, 400)), int(rng.integers(200, 400))
