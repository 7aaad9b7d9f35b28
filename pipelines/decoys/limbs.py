"""Arms, legs and hands, of bones with a cortex and joints in soft tissue."""

import numpy as np

from pipelines.decoys.film import Grey, exposed, plate
from pipelines.phantom.canvas import Canvas, Map, Points

_CORTEX = 0.65


def limb(rng: np.random.Generator) -> Grey:
    """A joint with the shafts of one or two bones on either side, in any direction."""
    canvas = plate(rng, rng.uniform(16, 40), rng.uniform(-np.pi, np.pi))
    joint, reach = rng.uniform(-8, 8), canvas.height_cm
    thickness = rng.uniform(3.0, 6.5)
    bend = np.deg2rad(rng.uniform(-50, 50)) if rng.random() < 0.5 else 0.0
    soft, bone = canvas.blank(), canvas.blank()
    for side, turn in ((-1, 0.0), (1, bend)):
        along = np.array([np.sin(turn), np.cos(turn)]) * side
        across = np.array([along[1], -along[0]])
        hinge = np.array([0.0, joint])
        far = hinge + reach * along
        soft = np.maximum(soft, rod(canvas, hinge - 0.5 * thickness * along, far, thickness * rng.uniform(0.8, 1.1)))
        for offset, radius in _shafts(rng, thickness):
            start = hinge + 0.2 * along + offset * across
            bone += long_bone(canvas, start, far + offset * across, radius)
    return exposed(2 * soft, bone, canvas, rng)


def hand(rng: np.random.Generator) -> Grey:
    """A hand or foot: five rays of four bones from a wrist of small ones, and the forearm's ends."""
    canvas = plate(rng, rng.uniform(20, 30), rng.uniform(-np.pi, np.pi))
    soft = canvas.ellipse((0.0, 0.5), (4.2, 5.0)) * np.float32(1.3)
    bone = canvas.blank()
    spread = rng.uniform(0.06, 0.28)
    for ray in range(5):
        turn = (ray - 2) * spread
        along, place = np.array([np.sin(turn), -np.cos(turn)]), np.array([(ray - 2) * 1.5, 1.5])
        scale = (0.7, 0.95, 1.0, 0.95, 0.8)[ray] * rng.uniform(0.95, 1.05)
        soft = np.maximum(soft, rod(canvas, place, place + 12.5 * scale * along, 0.95))
        for length in (5.0, 3.4, 2.2, 1.5):
            end = place + length * scale * along
            bone += long_bone(canvas, place, end, 0.4 * scale)
            place = end + 0.2 * along
    for row, column in np.ndindex(2, 4):
        centre = (column * 1.4 - 2.1 + rng.normal(0, 0.15), 2.6 + row * 1.3)
        bone += canvas.ellipse(centre, (0.75, 0.7)) * np.float32(0.5)
    for side in (-1.3, 1.2):
        bone += long_bone(canvas, np.array([side, 5.2]), np.array([side * 0.9, 30.0]), 0.8)
    soft = np.maximum(soft, rod(canvas, np.array([0.0, 3.0]), np.array([0.0, 40.0]), 2.6))
    return exposed(soft, bone, canvas, rng)


def long_bone(canvas: Canvas, start: Points, end: Points, radius: float) -> Map:
    """Compact bone, cm: a hollow shaft with wider, spongy ends."""
    shaft = 2 * (rod(canvas, start, end, radius) - np.float32(_CORTEX) * rod(canvas, start, end, radius * _CORTEX))
    ends = [canvas.ellipse((float(x), float(y)), (1.5 * radius, 1.6 * radius)) for x, y in (start, end)]
    bone: Map = np.maximum(shaft, np.float32(0.45 * radius) * np.maximum(*ends))
    return bone


def rod(canvas: Canvas, start: Points, end: Points, radius: float) -> Map:
    """Half the thickness, cm, of a round rod: `radius` along its axis, 0 outside."""
    reach = end - start
    length = float(np.linalg.norm(reach))
    x, y = canvas.x - np.float32(start[0]), canvas.y - np.float32(start[1])
    along = (x * reach[0] + y * reach[1]) / length
    across = (x * reach[1] - y * reach[0]) / length
    beyond = np.maximum(np.maximum(-along, along - length), 0)
    depth: Map = np.sqrt(np.maximum(radius**2 - across**2 - beyond**2, 0)).astype(np.float32)
    return depth


def _shafts(rng: np.random.Generator, thickness: float) -> list[tuple[float, float]]:
    """Offset and radius, cm, of the bones of one segment."""
    if rng.random() < 0.5:
        return [(0.0, thickness * rng.uniform(0.22, 0.34))]
    thick, thin = rng.uniform(0.15, 0.2), rng.uniform(0.1, 0.2)
    return [(-0.4 * thickness, thickness * thick), (0.35 * thickness, thickness * thin)]
