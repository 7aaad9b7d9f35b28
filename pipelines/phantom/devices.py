"""Thickness maps, in cm of compact bone, of what is stuck on or into the patient."""

import numpy as np

from pipelines.phantom.body import LEFT, RIGHT, Body
from pipelines.phantom.canvas import Canvas, Map, Points, smooth_curve, solid_tube


def devices(canvas: Canvas, body: Body, rng: np.random.Generator) -> Map:
    """Now and then a tube, a line, electrodes or a pacemaker; the lying patient has more of them."""
    total = canvas.blank()
    likely = 3.0 if body.supine and not body.child else 1.0
    if rng.random() < 0.05 * likely:
        total += _tube(canvas, [(0.2, -12), (0.1, 0), (0.3, 6.0)], 0.38, 0.35)
    if rng.random() < 0.06 * likely:
        side = int(rng.choice((RIGHT, LEFT)))
        total += _tube(canvas, [(side * 8, -3), (side * 4, 0.8), (side * 1.4, 4), (-1.9, 8.5), (-2.0, 13)], 0.12, 1.0)
    if rng.random() < 0.08 * likely:
        total += _electrodes(canvas, body, rng)
    if rng.random() < 0.05 and not body.child:
        total += _pacemaker(canvas, body)
    return total


def _tube(canvas: Canvas, knots: list[tuple[float, float]], radius: float, density: float) -> Map:
    line: Points = smooth_curve(np.array(knots, np.float64), 200)
    return canvas.splat(*solid_tube(line, np.full(200, radius))) * np.float32(density)


def _electrodes(canvas: Canvas, body: Body, rng: np.random.Generator) -> Map:
    total = canvas.blank()
    for x, y in ((-0.7, 4.0), (0.7, 4.0), (0.8, 19.0)):
        place = (x * body.half_width + rng.normal(0, 0.7), y + rng.normal(0, 0.7))
        total += np.float32(0.5) * canvas.ellipse(place, (0.55, 0.55))
        middle = (place[0] + rng.normal(0, 3), 0.5 * (place[1] + 32))
        total += _tube(canvas, [place, middle, (rng.normal(0, 8), 36.0)], 0.06, 2.5)
    return total


def _pacemaker(canvas: Canvas, body: Body) -> Map:
    x = 0.62 * body.half_width
    box = canvas.radius_squared((x, 6.5), (2.3, 2.0)) ** 2
    total = np.float32(1.6) / (1 + np.exp(np.clip((box - 1) * 12, -30, 30)))
    knots = [(x, 5.0), (0.4 * x, 2.2), (-1.4, 6.0), (-2.2, 13.0), (0.5, body.heart_y + 4.0), (4.2, body.heart_y + 3.6)]
    return (total + _tube(canvas, knots, 0.1, 2.5)).astype(np.float32)
