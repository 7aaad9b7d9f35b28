"""Other parts of the trunk and head than a chest from the front."""

import numpy as np

from pipelines.decoys.film import Grey, exposed, plate
from pipelines.phantom.canvas import Canvas, Map


def skull(rng: np.random.Generator) -> Grey:
    """A head from the front or the side: a shell of bone with face, jaw and neck."""
    canvas = plate(rng, rng.uniform(24, 32), rng.normal(0, 0.15))
    lateral = rng.random() < 0.5
    radii = (rng.uniform(8.5, 9.8), 7.5) if lateral else (rng.uniform(6.8, 7.8), 8.8)
    wall = rng.uniform(0.4, 0.8)
    outer = canvas.ellipse((0.0, -2.5), radii)
    inner = canvas.ellipse((0.0, -2.5), (radii[0] - wall, radii[1] - wall))
    soft, bone = 7 * outer, (8 * (outer - inner)).clip(0, 3)
    side = rng.choice([-1, 1]) if lateral else 0
    jaw = canvas.ellipse((side * 4.5, 6.0), (4.2, 4.6))
    soft = np.maximum(soft, np.maximum(5 * jaw, 5 * canvas.ellipse((side * -3.0, 12.0), (5.0, 9.0))))
    bone += 0.8 * jaw
    for x in (side * 6.5,) if lateral else (-3.2, 3.2):
        bone += 1.5 * (canvas.ellipse((x, 0.2), (2.2, 1.9)) - canvas.ellipse((x, 0.2), (1.8, 1.5)))
        soft -= 1.5 * canvas.ellipse((x * 0.5, 3.6), (1.2, 1.8))
    teeth = np.cos(canvas.x * 7) > -0.6
    bone += np.float32(1.2) * teeth * canvas.ellipse((side * 6.0, 6.3), (2.6, 1.3))
    bone += _spine(canvas, side * -3.0, 6.0, 1.3, rng)
    return exposed(soft.clip(0), bone, canvas, rng)


def lateral_chest(rng: np.random.Generator) -> Grey:
    """A chest from the side: spine behind, heart before, one shadow of lung between them, two domes below."""
    canvas = plate(rng, rng.uniform(33, 40), rng.normal(0, 0.05))
    side = rng.choice([-1, 1])
    trunk = canvas.ellipse((0.0, 4.0), (rng.uniform(11, 13), 26))
    lung = canvas.ellipse((side * -0.8, -1.0), (rng.uniform(7.5, 9.0), rng.uniform(12, 14)), side * rng.uniform(0, 0.2))
    below = 1 / (1 + np.exp((rng.uniform(7, 9) - canvas.y + np.square(canvas.x + side) / 16) / 0.15))
    heart = canvas.ellipse((side * 3.2, 3.0), (4.2, 5.4), side * 0.5)
    arms = canvas.ellipse((side * 1.5, -15.5), (7.5, 4.5))
    soft = 14 * trunk - 11 * lung * (1 - below) + 3.5 * heart + 5 * arms
    bone = _spine(canvas, side * -7.5, -14.0, 1.9, rng) + 0.5 * canvas.ellipse((side * 9.3, -2.0), (0.5, 8.0))
    for rib in range(10):
        middle = np.float32(rib * 2.5 - 12) + np.float32(0.55) * canvas.x * np.float32(side)
        bone += np.float32(0.35) * np.exp(-np.square((canvas.y - middle) / 0.35)) * (trunk > 0)
    return exposed(soft.clip(0), bone, canvas, rng)


def belly(rng: np.random.Generator) -> Grey:
    """Abdomen and pelvis: lumbar spine, iliac wings, hips and gas in the bowel."""
    canvas = plate(rng, rng.uniform(36, 46), rng.normal(0, 0.05))
    soft = 18 * canvas.ellipse((0.0, 0.0), (rng.uniform(16, 21), 34))
    bone = _spine(canvas, 0.0, -24.0, 2.2, rng) * (canvas.y < 10)
    for side in (-1, 1):
        wing = canvas.ellipse((side * 8.5, 8.0), (4.8, 6.8), side * 0.5)
        bone += 0.7 * wing + 1.1 * canvas.ellipse((side * 10.0, 15.5), (2.6, 2.6))
        ring = canvas.ellipse((side * 4.2, 18.5), (3.4, 2.8)) - canvas.ellipse((side * 4.2, 18.5), (2.0, 1.6))
        bone += 0.8 * ring.clip(0) + 1.2 * canvas.ellipse((side * 13.5, 20.0), (2.0, 6.0), side * -0.4)
    for _ in range(rng.integers(4, 16)):
        place = (float(rng.normal(0, 8)), float(rng.uniform(-16, 12)))
        soft -= rng.uniform(1, 3) * canvas.ellipse(
            place, (rng.uniform(0.8, 3), rng.uniform(0.8, 2.2)), rng.uniform(0, 3)
        )
    return exposed(soft.clip(0), bone, canvas, rng)


def slice_of_body(rng: np.random.Generator) -> Grey:
    """A slice as of CT or MR: black around it, a rim of fat or bone, organs of any grey."""
    canvas = plate(rng, rng.uniform(20, 44), rng.normal(0, 0.2))
    radii = np.array([rng.uniform(7, 17), rng.uniform(7, 13)])
    inside = (canvas.ellipse((0.0, 0.0), (radii[0], radii[1])) > 0).astype(np.float32)
    inner = (canvas.ellipse((0.0, 0.0), (radii[0] * 0.9, radii[1] * 0.88)) > 0).astype(np.float32)
    rim, filling = rng.uniform(0.2, 1), rng.uniform(0.2, 0.6)
    grey = rim * (inside - inner) + filling * inner
    for _ in range(rng.integers(4, 18)):
        x, y = rng.uniform(-0.6, 0.6, 2) * radii
        organ = canvas.ellipse((x, y), (rng.uniform(0.6, 4), rng.uniform(0.6, 3)), rng.uniform(0, 3)) > 0
        grey = np.where(organ & (inner > 0), rng.uniform(0, 1), grey)
    grey = grey + inside * rng.uniform(0, 0.12) * canvas.noise(rng, rng.uniform(0.2, 1.5))
    return canvas.blur(grey.clip(0, 1).astype(np.float32), rng.uniform(0.05, 0.3))


def _spine(canvas: Canvas, x: float, top: float, radius: float, rng: np.random.Generator) -> Map:
    """Compact bone, cm, of a column of vertebrae with gaps for their discs."""
    period = radius * rng.uniform(1.5, 1.9)
    beside = np.abs(canvas.x - np.float32(x)) < radius
    body = np.cos((canvas.y - np.float32(top)) * np.float32(2 * np.pi / period)) > -0.8
    column: Map = np.float32(0.7 * radius) * (beside & body & (canvas.y > top))
    return column
