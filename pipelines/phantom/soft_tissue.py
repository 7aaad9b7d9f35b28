"""Thickness maps, in cm, of the trunk, the lungs, the heart and its vessels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom.body import LEFT, RIGHT, Body, lung_outline, rib_cage_half_width
from pipelines.phantom.canvas import Canvas, Map, Mask, Points, rising, smooth_curve, solid_tube

_STEPS = 14  # of a vessel
_HILA = {RIGHT: (-3.6, 11.2), LEFT: (3.7, 10.2)}


@dataclass(frozen=True, slots=True)
class Lungs:
    """Both lungs.

    Attributes:
        share: of each pixel, in [0, 1].
        depth: cm front to back, as if nothing but the ribcage bounded them.
        sides: the pixels of each lung.
    """

    share: Map
    depth: Map
    sides: dict[int, Mask]


def trunk(canvas: Canvas, body: Body) -> Map:
    """Soft tissue from skin to skin, with neck, shoulders, arms and breasts."""
    w = body.half_width + body.fat + 1.0
    spread = 0.0 if body.supine else 2.5
    neck = 5.2 if body.female or body.child else 6.2
    side = [
        (neck, -20.0),
        (neck, -7.0),
        (neck + 1.5, -4.6),
        (0.75 * w, -2.8),
        (1.2 * w, -0.8),
        (1.42 * w, 2.5),
        (1.5 * w + 0.3 * spread, 9.0),
        (1.56 * w + spread, 22.0),
        (1.6 * w + 2 * spread, 50.0),
        (1.2 * w + 2 * spread, 50.0),
        (1.17 * w + spread, 22.0),
        (1.08 * w, 10.5),
        (1.0 * w, 14.0),
        (1.0 * w, 27.0),
        (1.05 * w, 50.0),
    ]
    right = [(-x, y) for x, y in reversed(side)]
    outline = smooth_curve(np.array([*side, *right]), 200, closed=True)
    shape = canvas.rounded(canvas.polygon(outline), 0.42 * w)
    # Neck and shoulders are thinner than the chest, which is thinner than the belly.
    depth = np.interp(canvas.y, (-8, 0, 8, 22, 34), (0.62, 0.75, 0.95, 1.0, 1.04)).astype(np.float32)
    arms = np.interp(np.abs(canvas.x), (1.0 * w, 1.25 * w), (1.0, 0.5)).astype(np.float32)
    return shape * depth * arms * np.float32(body.depth) + _breasts(canvas, body)


def _breasts(canvas: Canvas, body: Body) -> Map:
    total = canvas.blank()
    for side in (RIGHT, LEFT):
        if body.breast:
            centre = (side * 0.62 * body.half_width, 19.5 + (1.0 if body.supine else 2.0))
            radii = (0.42 * body.half_width, 0.4 * body.half_width)
            spread = canvas.ellipse(centre, radii) / 2
            # It hangs: the lower half is full and ends in a sharp fold.
            fullness = np.clip(0.55 + 0.45 * (canvas.y - centre[1]) / radii[1], 0.1, 1)
            total += np.float32(body.breast) * spread * fullness
        elif not body.child:
            total += np.float32(1.0) * canvas.ellipse((side * 0.6 * body.half_width, 9.5), (5.5, 4.5)) / 2
    return total


def lungs(canvas: Canvas, body: Body) -> Lungs:
    """Air-filled lung in place of soft tissue."""
    shares = {side: canvas.polygon(smooth_curve(lung_outline(body, side), 160, closed=True)) for side in (RIGHT, LEFT)}
    share = np.maximum(shares[RIGHT], shares[LEFT])
    depth = canvas.rounded(share, 0.42 * body.half_width) * np.float32(body.lung_depth)
    # Towards the apices the chest is shallow; behind the domes lung goes on, thinning to the recess.
    depth *= np.interp(canvas.y, (0, 5, 10), (0.55, 0.85, 1.0)).astype(np.float32)
    behind = canvas.blank()
    for side in (RIGHT, LEFT):
        below = canvas.y - np.float32(body.domes[side])
        width = rib_cage_half_width(body, body.angles[side])
        across = np.maximum(1 - (canvas.x * side / np.float32(0.98 * width)) ** 2, 0)
        recess = np.clip(1 - below / np.float32(body.angles[side] + 1 - body.domes[side]), 0, 1)
        on_side = rising(canvas.x * side - 3, 0.3) * rising(below, 0.1) * (shares[side] < 0.5)
        behind += np.float32(2.2) * recess * np.sqrt(across) * on_side
    # Towards the spine the lung gives way to hila and oesophagus.
    depth *= 0.4 + 0.6 * np.clip((np.abs(canvas.x) - 1.8) / 3.5, 0, 1)
    return Lungs(share, np.maximum(depth, behind), {side: shares[side] > 0.5 for side in (RIGHT, LEFT)})


def heart(canvas: Canvas, body: Body) -> Map:
    """Heart, 0 outside it."""
    right, left = body.heart_half_widths[RIGHT], body.heart_half_widths[LEFT]
    y, shift = body.heart_y, body.shift
    ventricle = canvas.ellipse((shift + left - 0.56 * (left + 2.5), y + 0.9), (0.62 * (left + 2.5), 4.9), 0.5)
    atrium = canvas.ellipse((shift + 2.5 - 0.5 * (right + 2.5), y - 0.2), (0.5 * (right + 2.5), 5.4), -0.08)
    outflow = canvas.ellipse((shift + 1.6, y - 5.0), (2.9, 4.4), 0.25)
    chord = np.sqrt(ventricle**2 + atrium**2 + (0.9 * outflow) ** 2) / 2
    return canvas.blur(np.minimum(chord, 1.15) * np.float32(10.5), 0.15)


def mediastinum(canvas: Canvas, body: Body, rng: np.random.Generator) -> Map:
    """Great vessels, thymus and the tissue along the spine; negative where the trachea and bronchi hold air."""
    s, y = body.shift, body.heart_y
    knob = 0.6 if body.child else rng.uniform(0.8, 1.25)
    width = np.interp(canvas.y, (2, 10, 20), (2.0, 2.3, 2.9)).astype(np.float32)
    total = 8.0 * np.exp(-(((canvas.x - np.float32(0.5 * s)) / width) ** 4)) * np.clip((canvas.y + 6) / 4, 0, 1)
    parts = (
        ((s + 2.0 * knob, 7.4), (1.9 * knob, 2.0 * knob), 0.0, 5.0),  # aortic arch
        ((s + 2.2, 10.3), (1.9, 1.9), 0.3, 4.5),  # pulmonary trunk
        ((s - 2.1, 8.4), (1.0, 5.0), 0.0, 3.0),  # superior vena cava
        ((s + 2.0, 16.5), (1.3, 10.0), 0.0, 2.6),  # descending aorta
        ((s - 2.5, y + 6.5), (1.3, 2.6), 0.2, 3.0),  # inferior vena cava
    )
    for centre, radii, turn, depth in parts:
        total = np.maximum(total, np.float32(depth) * canvas.ellipse(centre, radii, turn) / 2 + 0.35 * total)
    if body.thymus:
        total += 3.0 * canvas.ellipse((s, 7.5), (body.thymus, 4.2)) / 2
    airway = np.column_stack([np.full(200, 0.3 * s), np.linspace(-12, 9.6, 200)])
    air = canvas.splat(*solid_tube(airway, np.full(200, 0.85 if not body.child else 0.6)))
    for side, reach in ((RIGHT, 3.4), (LEFT, 4.2)):
        bronchus = smooth_curve(np.array([(0.3 * s, 9.2), (0.45 * side * reach, 10.6), (side * reach, 12.4)]), 60)
        air += canvas.splat(*solid_tube(bronchus, np.linspace(0.62, 0.4, 60)))
    thickness: Map = (total - 1.3 * canvas.blur(air, 0.05)).astype(np.float32)
    return thickness


def lung_vessels(canvas: Canvas, body: Body, rng: np.random.Generator) -> Map:
    """Arteries and veins from the hila outwards, branching and tapering."""
    total = canvas.blank()
    for side in (RIGHT, LEFT):
        lowered = (body.domes[side] - 21.6) * 0.4
        root = np.array(_HILA[side]) + np.array((body.shift, lowered))
        angles = np.linspace(-1.35, 1.45, 12) + rng.normal(0, 0.09, 12)
        wide = angles > 0.2  # gravity fills the lower lung's vessels
        reach = np.where(wide, rng.uniform(8.5, 11.5, 12), rng.uniform(6.5, 9.0, 12))
        radii = np.where(wide, rng.uniform(0.36, 0.48, 12), rng.uniform(0.25, 0.36, 12))
        for tubes in _tree(root + rng.normal(0, 0.5, (12, 2)), angles, side, reach, radii, rng):
            total += canvas.splat(*tubes)
        hilum = (root[0], root[1])
        total += rng.uniform(1.1, 1.7) * canvas.ellipse(hilum, (1.2, 2.4), -0.3 * side) / 2
    return canvas.blur(total, 0.05)


def _tree(
    starts: Points,
    angles: NDArray[np.float64],
    side: int,
    reach: NDArray[np.float64],
    radii: NDArray[np.float64],
    rng: np.random.Generator,
) -> Iterator[tuple[Points, NDArray[np.float64]]]:
    """Tubes of each order of branching. All arguments have a row a branch; angles are downwards from lateral."""
    for samples in (6, 4, 2, 1):
        bends = angles[:, None] + np.cumsum(rng.normal(0, 0.12, (len(angles), _STEPS)), axis=1)
        steps = np.stack([side * np.cos(bends), np.sin(bends)], axis=-1) * (reach / _STEPS)[:, None, None]
        knots = starts[:, None] + np.concatenate([np.zeros((len(steps), 1, 2)), np.cumsum(steps, axis=1)], axis=1)
        fine = np.linspace(0, _STEPS, _STEPS * samples + 1)
        whole = np.minimum(fine.astype(np.int64), _STEPS - 1)
        lines = knots[:, whole] + (fine - whole)[None, :, None] * (knots[:, whole + 1] - knots[:, whole])
        yield solid_tube(lines, radii[:, None] * np.linspace(1, 0.4, len(fine)), across=5 if samples > 2 else 3)

        at = np.stack([rng.choice(np.arange(2, _STEPS), 3, replace=False) for _ in angles]).ravel()
        parent = np.repeat(np.arange(len(angles)), 3)
        starts = knots[parent, at]
        angles = bends[parent, at - 1] + rng.uniform(0.35, 0.85, len(at)) * rng.choice((-1, 1), len(at))
        reach = reach[parent] * (1 - at / _STEPS) * rng.uniform(0.55, 0.95, len(at))
        radii = radii[parent] * (1 - 0.6 * at / _STEPS) * rng.uniform(0.6, 0.8, len(at))


def belly_gas(canvas: Canvas, body: Body, rng: np.random.Generator) -> Map:
    """Air below the left dome, with a level in the standing patient."""
    centre = (rng.uniform(5.5, 8.0), body.domes[LEFT] + rng.uniform(2.2, 3.4))
    radii = (rng.uniform(1.4, 3.2), rng.uniform(0.9, 1.7))
    bubble = canvas.ellipse(centre, radii) * np.float32(1.6)
    if not body.supine:
        bubble *= rising(np.float32(centre[1] + 0.35 * radii[1]) - canvas.y, 0.08)
    bowel = np.maximum(canvas.noise(rng, 1.6) - 0.9, 0) * np.clip((canvas.y - np.float32(centre[1] + 5)) / 4, 0, 1)
    near = np.clip(1 - np.abs(canvas.x - 5) / 9, 0, 1)
    return canvas.blur((bubble + 1.5 * bowel * near).astype(np.float32), 0.1)
