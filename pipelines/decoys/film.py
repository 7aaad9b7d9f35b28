"""How a drawing or a photograph comes to look like a film: attenuation, exposure, borders, noise."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from models.radiograph import Radiograph
from pipelines.phantom.canvas import Canvas, Map
from pipelines.phantom.detector import BONE_PER_CM, SCANNERS, SOFT_PER_CM, expose, marker

Grey = NDArray[np.float32]
HEIGHT_PX = 288


def plate(rng: np.random.Generator, height_cm: float, turn_radians: float = 0.0) -> Canvas:
    """A detector of so many cm, whose middle is the origin, of any usual shape."""
    width_px = round(HEIGHT_PX * rng.uniform(0.7, 1.3))
    return Canvas(HEIGHT_PX, width_px, height_cm, centre_cm=(0.0, 0.0), rotation_radians=turn_radians)


def exposed(soft_cm: Map, bone_cm: Map, canvas: Canvas, rng: np.random.Generator) -> Grey:
    """The film, (height, width) in [0, 1], behind thicknesses of soft tissue and of compact bone in cm."""
    lead = marker(canvas, rng) if rng.random() < 0.5 else canvas.blank()
    attenuation = (SOFT_PER_CM * soft_cm + BONE_PER_CM * (bone_cm + lead)).astype(np.float32)
    scanner = SCANNERS[rng.integers(len(SCANNERS))]
    levels = expose(attenuation, canvas, scanner, str(rng.choice(["PA", "AP"])), rng)
    return levels.astype(np.float32) / np.float32(255)


def finished(grey: Grey, rng: np.random.Generator) -> Radiograph:
    """8 bits, of any contrast, sharpness and noise, some with black or white borders."""
    low, high = rng.uniform(0, 0.25), rng.uniform(0.75, 1)
    film = low + (high - low) * np.clip(grey, 0, 1) ** np.float32(rng.uniform(0.6, 1.7))
    if rng.random() < 0.4:
        film = gaussian_filter(film, rng.uniform(0.4, 2))
    film = film + np.float32(rng.exponential(0.006)) * rng.standard_normal(film.shape, np.float32)
    if rng.random() < 0.4:
        film = _bordered(film, rng)
    return Radiograph((np.clip(film, 0, 1) * 255).round().astype(np.uint8))


def resized(grey: Grey, width_px: int, height_px: int) -> Grey:
    """(height_px, width_px), antialiased."""
    return np.asarray(Image.fromarray(grey).resize((width_px, height_px), Image.Resampling.BILINEAR))


def _bordered(grey: Grey, rng: np.random.Generator) -> Grey:
    """The picture with its edges covered, as by a collimator or by the light of a scanner."""
    height, width = grey.shape
    widths = rng.uniform(0, 0.25, 4) * rng.integers(0, 2, 4) * (height, height, width, width)
    top, bottom, left, right = widths.astype(int)
    covered = np.full_like(grey, rng.choice([0.0, 1.0]))
    inside = slice(top, height - bottom), slice(left, width - right)
    covered[inside] = grey[inside]
    return covered
