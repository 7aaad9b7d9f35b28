"""Thickness maps, in cm of compact bone, of the ribs, the spine and the shoulder girdle."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom.body import LEFT, RIGHT, Body, rib_cage_half_width
from pipelines.phantom.canvas import Canvas, Map, Points, rising, smooth_curve

_RIBS = 12
_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
_CORTEX_CM = 0.07
_SPONGY = 0.12  # cm of compact bone in a cm of spongy bone


def skeleton(canvas: Canvas, body: Body) -> Map:
    """All bones of the chest."""
    return canvas.blur(_ribs(canvas, body) + _girdle(canvas, body), 0.03) + _spine(canvas, body)


def _ribs(canvas: Canvas, body: Body) -> Map:
    """Tubes bent round the chest; seen along their wall, where they turn to the front, they are brightest."""
    scale = 0.85 if body.child else 1.0
    ribs = (_rib(body, number, side) for number in range(_RIBS) for side in (RIGHT, LEFT))
    return _splat(canvas, [_tube(canvas, rib, (0.62 * scale, 0.36 * scale), fading=0.2) for rib in ribs])


def _rib(body: Body, number: int, side: int) -> Points:
    """(n, 3) centre line of a rib from the spine to its front end: x, y, z to the front."""
    back_y = -0.9 + 2.2 * number - 0.01 * number**2
    drop = body.rib_drop * np.interp(number, (0, 2, 6, 9, 11), (0.4, 0.85, 1.05, 1.1, 0.6))
    front_end = (
        np.interp(number, (0, 1, 2, 4, 6, 8, 9, 10, 11), (0.93, 0.9, 0.88, 0.84, 0.79, 0.73, 0.66, 0.52, 0.42)) * np.pi
    )
    turn = np.linspace(0.06 * np.pi, front_end, 40)
    width = rib_cage_half_width(body, back_y + 0.45 * drop) + 0.35
    x = 1.6 + (width - 1.6) * np.sin(turn) ** 0.75
    forward = (1 - np.cos(turn)) / 2
    y = back_y - 0.7 * np.sin(2.2 * turn) * (turn < np.pi / 2.2) + drop * forward**1.25
    z = -0.48 * body.lung_depth * np.cos(turn)
    return np.column_stack([side * x, y, z])


def _girdle(canvas: Canvas, body: Body) -> Map:
    """Clavicles, shoulder blades and the heads of the upper arms; in PA the blades are turned off the lungs."""
    w, lift = body.half_width, -2.2 if body.supine else 0.0
    out = 0.0 if body.supine else 0.17 * w
    clavicle = [(1.7, 4.6), (0.3 * w, 3.9), (0.62 * w, 2.1), (0.95 * w, 0.2), (1.2 * w, -0.6)]
    lateral = [(1.18 * w, 1.8), (1.1 * w + out, 5), (0.96 * w + out, 10), (0.86 * w + out, 14)]
    medial = [(0.86 * w + out, 14), (0.78 * w + out, 8), (0.8 * w + out, 2.5), (0.95 * w + out, 0.3)]
    ridge = [(0.8 * w + out, 3.4), (1.05 * w, 0.6), (1.3 * w, -1.0)]
    shaft = [(1.36 * w, 3.5), (1.4 * w, 10), (1.4 * w + (1.0 if body.supine else 3.5), 22)]
    tubes, total = [], canvas.blank()
    for side in (RIGHT, LEFT):
        raised = [(x, y + lift) for x, y in clavicle]
        for line, radius in ((raised, 0.7), (lateral, 0.38), (medial, 0.16), (ridge, 0.45), (shaft, 1.15)):
            knots = np.array([(side * x, y, 0) for x, y in line])
            tubes.append(_tube(canvas, knots, (radius, radius)))
        plate = np.array([*lateral, *medial]) * (side, 1)
        total += np.float32(0.16) * canvas.polygon(smooth_curve(plate, 60, closed=True))
        head = (side * 1.33 * w, 2.4)
        total += np.float32(0.55) * canvas.ellipse(head, (2.4, 2.4)) / 2 + np.float32(0.12) * _ring(canvas, head, 2.4)
    return total + _splat(canvas, tubes)


def _ring(canvas: Canvas, centre: tuple[float, float], radius: float) -> Map:
    return np.exp(-(((np.sqrt(canvas.radius_squared(centre, (radius, radius))) - 0.97) / 0.05) ** 2))


def _tube(
    canvas: Canvas, knots: Points, radii: tuple[float, float], fading: float = 0.0
) -> tuple[Points, NDArray[np.float64]]:
    """A tube of compact bone filled with spongy bone along (n, 3) knots; its section is an ellipse.

    Args:
        canvas: for the fineness.
        knots: of the centre line.
        radii: half the section's height and width.
        fading: share of the length over which the far end turns to cartilage.

    Returns:
        (m, 2) points and their (m,) volumes of compact bone, cubic cm.
    """
    length = float(np.linalg.norm(np.diff(knots, axis=0), axis=1).sum())
    centres = smooth_curve(knots, int(length * canvas.px_per_cm) + 2)
    steps = np.gradient(centres, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    lengths_of_bone = lengths * np.clip(np.linspace(1, 0, len(lengths)) / fading, 0, 1) if fading else lengths
    along = steps / np.maximum(lengths, 1e-9)[:, None]
    upright = np.abs(along[:, 1:2]) > 0.9
    reference = np.where(upright, (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
    up = reference - along * (along * reference).sum(axis=1, keepdims=True)
    up /= np.maximum(np.linalg.norm(up, axis=1), 1e-9)[:, None]
    out = np.cross(along, up)
    perimeter = np.pi * sum(radii)
    points, volumes = [], []
    for shell, thickness in ((1.0, _CORTEX_CM), (0.55, _SPONGY * min(radii))):
        count = int(perimeter * shell * canvas.px_per_cm) + 4
        # Each section is turned against the one before, so that the points do not line up with pixels.
        angles = np.arange(count) * (2 * np.pi / count) + np.arange(len(centres))[:, None] * _GOLDEN_ANGLE
        section = up[:, None, :2] * (radii[0] * shell * np.cos(angles))[..., None]
        section = section + out[:, None, :2] * (radii[1] * shell * np.sin(angles))[..., None]
        points.append((centres[:, None, :2] + section).reshape(-1, 2))
        volumes.append(np.repeat(lengths_of_bone * (perimeter * shell * thickness / count), count))
    return np.concatenate(points), np.concatenate(volumes)


def _splat(canvas: Canvas, tubes: list[tuple[Points, NDArray[np.float64]]]) -> Map:
    return canvas.splat(np.concatenate([points for points, _ in tubes]), np.concatenate([v for _, v in tubes]))


def _spine(canvas: Canvas, body: Body) -> Map:
    total = canvas.blank()
    for y, half_height, half_width in _vertebrae(body):
        rows = np.abs(canvas.y - np.float32(y)) < half_height + 2.0
        band = np.flatnonzero(rows.any(axis=1))
        if not len(band):
            continue
        part = slice(band[0], band[-1] + 1)
        x, v = canvas.x[part], canvas.y[part] - np.float32(y)
        waist = half_width * (0.9 + 0.1 * (v / half_height) ** 2)
        body_box = rising(waist - np.abs(x), 0.07) * rising(half_height - np.abs(v), 0.07)
        end_plates = np.exp(-(((np.abs(v) - half_height) / 0.1) ** 2)) * rising(waist - np.abs(x), 0.07)
        pedicles = np.exp(-(((np.abs(x) - 0.62 * half_width) / 0.34) ** 2) - ((v + 0.25) / 0.5) ** 2)
        process = np.exp(-((x / 0.3) ** 2) - ((v - 0.75) / 0.65) ** 2)
        arms = np.exp(-(((v + 0.35) / 0.42) ** 2)) * rising(np.float32(1.75 * half_width) - np.abs(x), 0.07)
        total[part] += 0.42 * body_box + 0.18 * end_plates + 0.3 * pedicles + 0.28 * process + 0.12 * arms
    return total


def _vertebrae(body: Body) -> Iterator[tuple[float, float, float]]:
    """(y, half height, half width) from the neck to the loins."""
    y = -9.0
    for number in range(18):
        half_height = 0.72 + 0.028 * number
        yield y, half_height, (1.25 + 0.05 * number) * (0.9 if body.child else 1.0)
        y += 2 * half_height + 0.5
