"""The plane of the detector: centimetres of the patient on pixels of the image, and the shapes laid on it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.special import expit

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

_OVERSAMPLING = 2


@dataclass(frozen=True)
class Canvas:
    """Where the patient lies on the film.

    Attributes:
        height_px, width_px: of the image.
        height_cm: of the field.
        centre_cm: the patient's (x, y) in the middle of the image.
        rotation_radians: of the patient, clockwise on the image.
    """

    height_px: int
    width_px: int
    height_cm: float
    centre_cm: tuple[float, float]
    rotation_radians: float

    @property
    def px_per_cm(self) -> float:
        return self.height_px / self.height_cm

    @cached_property
    def _grid(self) -> tuple[Map, Map]:
        v, u = np.mgrid[: self.height_px, : self.width_px].astype(np.float32)
        u = (u + 0.5 - self.width_px / 2) / np.float32(self.px_per_cm)
        v = (v + 0.5 - self.height_px / 2) / np.float32(self.px_per_cm)
        cos, sin = np.float32(np.cos(self.rotation_radians)), np.float32(np.sin(self.rotation_radians))
        return u * cos + v * sin + np.float32(self.centre_cm[0]), v * cos - u * sin + np.float32(self.centre_cm[1])

    @property
    def x(self) -> Map:
        """(height, width) float32: the patient's x in cm at each pixel."""
        return self._grid[0]

    @property
    def y(self) -> Map:
        """(height, width) float32: the patient's y in cm at each pixel."""
        return self._grid[1]

    def pixels(self, points: Points) -> Points:
        """(n, 2) patient's cm to (n, 2) columns and rows, pixel centres at whole numbers."""
        x, y = (points - np.asarray(self.centre_cm)).T
        cos, sin = np.cos(self.rotation_radians), np.sin(self.rotation_radians)
        u, v = x * cos - y * sin, x * sin + y * cos
        return np.column_stack(
            [u * self.px_per_cm + self.width_px / 2 - 0.5, v * self.px_per_cm + self.height_px / 2 - 0.5]
        )

    def blank(self) -> Map:
        return np.zeros((self.height_px, self.width_px), np.float32)

    def blur(self, image: Map, sigma_cm: float) -> Map:
        """A Gaussian blur; a wide one is computed on a coarser grid."""
        sigma_px = sigma_cm * self.px_per_cm
        step = max(1, int(sigma_px // 3))
        if step == 1:
            return gaussian_filter(image, sigma_px, mode="nearest")
        coarse = (max(2, self.width_px // step), max(2, self.height_px // step))
        small = np.asarray(Image.fromarray(image).resize(coarse, Image.Resampling.BOX))
        small = gaussian_filter(small, sigma_px / step, mode="nearest")
        return np.asarray(Image.fromarray(small).resize((self.width_px, self.height_px), Image.Resampling.BICUBIC))

    def noise(self, rng: np.random.Generator, scale_cm: float) -> Map:
        """A smooth random field of mean 0 and standard deviation 1, with details of about `scale_cm`."""
        step = max(1.0, scale_cm * self.px_per_cm)
        shape = (int(self.height_px / step) + 4, int(self.width_px / step) + 4)
        small = Image.fromarray(rng.standard_normal(shape, np.float32))
        field = np.asarray(small.resize((self.width_px, self.height_px), Image.Resampling.BICUBIC))
        standard: Map = (field - field.mean()) / (field.std() + np.float32(1e-6))
        return standard

    def polygon(self, outline: Points) -> Map:
        """The share of each pixel inside a closed outline of (n, 2) cm, in [0, 1]."""
        size = (self.width_px * _OVERSAMPLING, self.height_px * _OVERSAMPLING)
        image = Image.new("L", size)
        corners = (self.pixels(outline) + 0.5) * _OVERSAMPLING
        ImageDraw.Draw(image).polygon([(float(u), float(v)) for u, v in corners], fill=255)
        share = image.resize((self.width_px, self.height_px), Image.Resampling.BOX)
        return np.asarray(share, np.float32) / np.float32(255)

    def rounded(self, share: Map, radius_cm: float) -> Map:
        """A flat body with round edges: 0 at its border, 1 from `radius_cm` inwards, an ellipse between."""
        depth_px = distance_transform_edt(share > 0.5).astype(np.float32)
        depth = np.minimum(np.maximum(depth_px - 0.5, 0) / np.float32(radius_cm * self.px_per_cm), 1)
        rounded: Map = np.sqrt(1 - (1 - depth) ** 2)
        return rounded

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], turn_radians: float = 0.0) -> Map:
        """The chord through an ellipsoid of depth 2: 2 in its middle, 0 at its border and outside."""
        return 2 * np.sqrt(np.maximum(1 - self.radius_squared(centre, radii, turn_radians), 0))

    def radius_squared(self, centre: tuple[float, float], radii: tuple[float, float], turn_radians: float = 0.0) -> Map:
        """The squared distance from an ellipse's centre: 1 on its border."""
        x, y = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        cos, sin = np.float32(np.cos(turn_radians)), np.float32(np.sin(turn_radians))
        along, across = x * cos + y * sin, y * cos - x * sin
        squared: Map = np.square(along / np.float32(radii[0])) + np.square(across / np.float32(radii[1]))
        return squared

    def splat(self, points: Points, volumes: NDArray[np.float64]) -> Map:
        """Thickness in cm of many small volumes, (n, 2) cm and (n,) cubic cm, each shared by the four pixels around."""
        u, v = self.pixels(points).T
        column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        right, down = u - column, v - row
        total = np.zeros((self.height_px + 2) * (self.width_px + 2))
        inside = (column >= -1) & (column < self.width_px) & (row >= -1) & (row < self.height_px)
        column, row, right, down, volumes = (a[inside] for a in (column, row, right, down, volumes))
        corner = (row + 1) * (self.width_px + 2) + column + 1
        for offset, weight in (
            (0, (1 - right) * (1 - down)),
            (1, right * (1 - down)),
            (self.width_px + 2, (1 - right) * down),
            (self.width_px + 3, right * down),
        ):
            total += np.bincount(corner + offset, volumes * weight, total.size)
        area = 1 / self.px_per_cm**2
        framed = total.reshape(self.height_px + 2, self.width_px + 2)
        return (framed[1:-1, 1:-1] / area).astype(np.float32)


def smooth_curve(knots: Points, samples: int, closed: bool = False) -> Points:
    """A Catmull-Rom curve through (k, d) knots, sampled evenly between them: (samples, d)."""
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    position = np.linspace(0, len(padded) - 3, samples, endpoint=not closed)
    start = np.minimum(position.astype(np.int64), len(padded) - 4)
    t = (position - start)[:, None]
    a, b, c, d = (padded[start + shift] for shift in range(4))
    curve: Points = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return curve


def solid_tube(centres: Points, radii: NDArray[np.float64], across: int = 7) -> tuple[Points, NDArray[np.float64]]:
    """Points and volumes of filled tubes along (..., n, 2) centres with (..., n) radii, ready for `Canvas.splat`."""
    steps = np.gradient(centres, axis=-2)
    lengths = np.linalg.norm(steps, axis=-1)
    normals = np.stack([-steps[..., 1], steps[..., 0]], axis=-1) / np.maximum(lengths, 1e-9)[..., None]
    offsets = (np.arange(across) + 0.5) / across * 2 - 1
    points = centres[..., None, :] + normals[..., None, :] * (offsets * radii[..., None])[..., None]
    chords = np.sqrt(1 - offsets**2)
    chords *= np.pi / 4 / chords.mean()
    volumes = (lengths * 4 * radii**2)[..., None] * (chords / across)
    return points.reshape(-1, 2), volumes.reshape(-1)


def rising(distance: Map, width: float) -> Map:
    """A soft step: 0 far below 0, 1 far above, within about four widths."""
    step: Map = expit(distance / np.float32(width))
    return step
