"""Appearance of a radiograph in a handful of numbers; what drift, shortcut probes and audits look at."""

import numpy as np
from scipy.ndimage import laplace

from models.radiograph import Radiograph


def appearance(radiograph: Radiograph) -> dict[str, float]:
    """Numbers that no finding should follow from.

    Returns:
        `mean`, `std`, `p01`, `p50`, `p99` of the grey values in [0, 1]; `sharpness`, the standard deviation of the
        Laplacian over that of the grey values; `border`, the mean of the outermost twentieth; `aspect`, width over
        height; `height_px` and `width_px`.
    """
    pixels = radiograph.pixels
    height, width = pixels.shape
    frame_px = max(1, min(height, width) // 20)
    inner = pixels[frame_px:-frame_px, frame_px:-frame_px]
    p01, p50, p99 = np.quantile(pixels, [0.01, 0.5, 0.99])
    std = float(pixels.std())
    return {
        "mean": float(pixels.mean()),
        "std": std,
        "p01": float(p01),
        "p50": float(p50),
        "p99": float(p99),
        "sharpness": float(laplace(pixels).std()) / max(std, 1e-6),
        "border": float((pixels.sum(dtype=np.float64) - inner.sum(dtype=np.float64)) / (pixels.size - inner.size)),
        "aspect": width / height,
        "height_px": float(height),
        "width_px": float(width),
    }
