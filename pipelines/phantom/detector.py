"""From attenuation to grey values: exposure, scatter, blur, noise, and the look of one of two scanners."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from pipelines.phantom.canvas import Canvas, Map
from pipelines.phantom.record import PhantomRecord

# Linear attenuation per cm at about 60 keV, the mean energy of a chest exposure. Densities 1.06, 1.92, 0.26 and mass
# coefficients of ICRU-44 tissues in the tables of Hubbell and Seltzer, NISTIR 5632.
SOFT_PER_CM = 0.217
BONE_PER_CM = 0.604
LUNG_PER_CM = 0.053


@dataclass(frozen=True, slots=True)
class Scanner:
    """How a maker's films look.

    Attributes:
        name: in records.
        sharpen: strength of edge enhancement.
        blur_px: of the detector, at 320 px height.
        scatter: share of scattered in primary radiation.
        photons: reaching a pixel behind nothing; fewer make more noise.
        gamma: of the response; above 1 darkens lungs.
        border: whether the collimator leaves black edges.
        aspect: width over height, lowest and highest.
        text: burned into a corner.
    """

    name: str
    sharpen: float
    blur_px: float
    scatter: float
    photons: float
    gamma: float
    border: bool
    aspect: tuple[float, float]
    text: str


SCANNERS = (
    Scanner("computed", 0.25, 0.5, 0.4, 6e4, 0.95, True, (0.82, 0.95), "CHEST AP/PA  78 KV"),
    Scanner("digital", 0.7, 0.45, 0.3, 1.6e5, 1.15, False, (0.98, 1.14), ""),
)
_BY_NAME: Mapping[str, Scanner] = MappingProxyType({scanner.name: scanner for scanner in SCANNERS})


def scanner_of(record: PhantomRecord) -> Scanner:
    """The scanner a record names."""
    return _BY_NAME[record.scanner]


def marker(canvas: Canvas, rng: np.random.Generator) -> Map:
    """A letter of lead at the patient's right shoulder: cm of compact bone."""
    size_px = max(8, int(1.5 * canvas.px_per_cm))
    image = Image.new("L", (canvas.width_px, canvas.height_px))
    place = (canvas.width_px * rng.uniform(0.04, 0.12), canvas.height_px * rng.uniform(0.04, 0.16))
    ImageDraw.Draw(image).text(place, "R", fill=255, font=ImageFont.load_default(size_px))
    return np.asarray(image, np.float32) * np.float32(6 / 255)


def expose(
    attenuation: Map, canvas: Canvas, scanner: Scanner, view: str, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The film.

    Args:
        attenuation: (height, width), the line integral of linear attenuation, without unit.
        canvas: for lengths.
        scanner: the look.
        view: portable AP exposures are poorer.
        rng: noise and small differences of exposure.

    Returns:
        (height, width) uint8, bone bright.
    """
    scale = canvas.height_px / 320
    primary = gaussian_filter(np.exp(-attenuation), (scanner.blur_px + (0.15 if view == "AP" else 0)) * scale)
    # Scatter arises where the beam is weakened, and reaches the detector weakened in turn.
    thrown = np.exp(-attenuation) * (1 - np.exp(-attenuation)) ** 2
    scattered = scanner.scatter * (1.5 if view == "AP" else 1.0) * canvas.blur(thrown, 4.0)
    photons = np.float32(scanner.photons * rng.uniform(0.6, 1.5))
    counts = (primary + scattered) * photons
    counts = counts + np.sqrt(counts) * rng.standard_normal(counts.shape, np.float32)
    density = -np.log(np.maximum(counts, 1) / photons)
    if scanner.sharpen:
        density = density + np.float32(scanner.sharpen) * (density - canvas.blur(density, 0.35))
    return _develop(density, attenuation, canvas, scanner, rng)


def _develop(
    density: Map, attenuation: Map, canvas: Canvas, scanner: Scanner, rng: np.random.Generator
) -> NDArray[np.uint8]:
    # The exposure is set by what lies in the middle: lungs, heart and spine.
    height, width = density.shape
    middle = density[int(0.2 * height) : int(0.75 * height), int(0.2 * width) : int(0.8 * width)]
    low, high = np.quantile(middle, (0.03, 0.97)) + rng.normal(0, 0.05, 2)
    straight = np.maximum((density - low) / (high - low) * 0.72 + 0.16, 0)
    grey = 1 - np.log1p(np.exp((1 - straight**scanner.gamma) * 7 - 0.9)) / np.log1p(np.exp(6.1))
    if scanner.border:
        left, right, top, bottom = (rng.uniform(0, 0.035, 4) * (*grey.shape[::-1], *grey.shape)[:4]).astype(int)
        framed = np.zeros_like(grey)
        inner = slice(top, grey.shape[0] - bottom), slice(left, grey.shape[1] - right)
        framed[inner] = grey[inner]
        grey = framed
    image = Image.fromarray(np.clip(grey * 255, 0, 255).astype(np.uint8))
    if scanner.text:
        font = ImageFont.load_default(max(7, canvas.height_px // 36))
        ImageDraw.Draw(image).text((canvas.width_px * 0.55, canvas.height_px * 0.955), scanner.text, 210, font)
    return np.asarray(image)
