"""What each finding changes in the thickness maps, and where it lies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from scipy.ndimage import distance_transform_edt

from pipelines.phantom.body import LEFT, RIGHT, Body, rib_cage_half_width
from pipelines.phantom.canvas import Canvas, Map, Mask, smooth_curve, solid_tube
from pipelines.phantom.soft_tissue import Lungs

_VISIBLE_CM = 0.8  # of tissue in place of air: what counts as part of a lesion's mask


@dataclass(slots=True)
class Chest:
    """The parts that lesions change, in cm.

    Attributes:
        canvas, body, lungs: the place.
        heart: soft tissue of the heart.
        tissue: soft tissue in place of lung, added by lesions.
        vessels: lung vessels; a collapsed lung takes them along.
        free_air: air in place of lung.
        gas: air in place of soft tissue: stomach and bowel.
        masks: where each finding lies.
        atelectasis_side: the side that has lost volume.
    """

    canvas: Canvas
    body: Body
    lungs: Lungs
    heart: Map
    vessels: Map
    tissue: Map
    free_air: Map
    gas: Map
    atelectasis_side: int
    masks: dict[str, Mask] = field(default_factory=dict)

    def add(self, finding: str, tissue: Map, mask: Mask | None = None) -> None:
        """Puts tissue in place of lung; its mask is where there is enough of it to see."""
        inside = tissue * self.lungs.share
        self.tissue += inside
        seen = inside > _VISIBLE_CM if mask is None else mask
        self.masks[finding] = self.masks.get(finding, np.zeros_like(seen)) | seen


def consolidation(chest: Chest, rng: np.random.Generator) -> None:
    """Airspace filled in one lobe, now and then in two; fuzzy border, bronchi still holding air."""
    for _ in range(1 + (rng.random() < 0.25)):
        side = int(rng.choice((RIGHT, LEFT)))
        x, y = _lobe(chest.body, side, rng)
        radii = (rng.uniform(3.2, 5.2), rng.uniform(3.4, 6.0))
        distance = np.sqrt(chest.canvas.radius_squared((x, y), radii, rng.uniform(-0.6, 0.6)))
        ragged = distance + 0.16 * chest.canvas.noise(rng, 2.0) + 0.05 * chest.canvas.noise(rng, 0.7)
        filled = 1 / (1 + np.exp((ragged - 1) * 6))
        texture = 1 + 0.07 * chest.canvas.noise(rng, 0.8)
        tissue = (rng.uniform(8.0, 13.0) * filled * texture * chest.lungs.sides[side]).astype(np.float32)
        chest.add("Consolidation", np.maximum(tissue - 2.5 * _bronchi(chest, (x, y), side, rng) * filled, 0))


def _lobe(body: Body, side: int, rng: np.random.Generator) -> tuple[float, float]:
    """A centre within the upper, middle or lower zone."""
    y = float(rng.choice((5.5, 11.5, 0.75 * body.domes[side] + 1.5), p=(0.3, 0.4, 0.3))) + rng.normal(0, 0.8)
    x = rng.uniform(0.38, 0.72) * rib_cage_half_width(body, y)
    return side * x, y


def _bronchi(chest: Chest, centre: tuple[float, float], side: int, rng: np.random.Generator) -> Map:
    total = chest.canvas.blank()
    root = np.array((side * 3.6, 11.0))
    for _ in range(4):
        end = np.array(centre) + rng.normal(0, 1.8, 2)
        line = smooth_curve(np.array([root, (root + end) / 2 + rng.normal(0, 0.5, 2), end]), 60)
        total += chest.canvas.splat(*solid_tube(line, np.linspace(0.22, 0.1, 60), across=5))
    return total


def infiltration(chest: Chest, rng: np.random.Generator) -> None:
    """A net of fine lines and a haze on both sides, densest around the hila."""
    canvas = chest.canvas
    lines = sum(np.exp(-((canvas.noise(rng, scale) / 0.28) ** 2)) for scale in (0.55, 0.8, 1.1))
    dots = np.maximum(canvas.noise(rng, 0.45) - 1.1, 0)
    haze = canvas.noise(rng, 3.5) * 0.25 + 0.5
    reach = rng.uniform(5.0, 8.5)
    spread = sum(
        np.exp(-canvas.radius_squared((side * rng.uniform(4.0, 6.5), rng.uniform(11, 16)), (reach, 1.35 * reach)))
        for side in (RIGHT, LEFT)
    )
    strength = rng.uniform(1.4, 2.4)
    tissue = strength * np.minimum(spread, 1) * (0.75 * lines + 1.0 * dots + 1.1 * haze)
    chest.add("Infiltration", tissue.astype(np.float32), (spread > 0.35) & (chest.lungs.share > 0.5))


def nodule(chest: Chest, rng: np.random.Generator) -> None:
    """One to three round spots up to 3 cm."""
    for _ in range(int(rng.choice((1, 2, 3), p=(0.7, 0.2, 0.1)))):
        radius = rng.uniform(0.55, 1.4)
        centre = _inside_lung(chest, rng, margin_cm=radius)
        chest.add("Nodule", _ball(chest.canvas, centre, radius, rng, 0.05), _disc(chest, centre, radius))


def mass(chest: Chest, rng: np.random.Generator) -> None:
    """A lump of more than 3 cm, lobulated, half of them with spikes."""
    radius = rng.uniform(1.7, 3.3)
    centre = _inside_lung(chest, rng, margin_cm=radius)
    tissue = _ball(chest.canvas, centre, radius, rng, 0.14)
    if rng.random() < 0.5:
        for angle in rng.uniform(0, 2 * np.pi, 14):
            spike = np.outer(np.linspace(0.8, rng.uniform(1.3, 1.8), 20) * radius, (np.cos(angle), np.sin(angle)))
            tissue += chest.canvas.splat(*solid_tube(np.array(centre) + spike, np.linspace(0.14, 0.03, 20), across=3))
    chest.add("Mass", tissue)


def _ball(canvas: Canvas, centre: tuple[float, float], radius: float, rng: np.random.Generator, ragged: float) -> Map:
    squared = canvas.radius_squared(centre, (radius, radius * rng.uniform(0.85, 1.15)), rng.uniform(0, np.pi))
    squared = squared * (1 + ragged * canvas.noise(rng, radius * 0.7)) ** 2
    return canvas.blur((2 * radius * np.sqrt(np.maximum(1 - squared, 0))).astype(np.float32), 0.06)


def _disc(chest: Chest, centre: tuple[float, float], radius: float) -> Mask:
    return (chest.canvas.radius_squared(centre, (radius, radius)) < 1) & (chest.lungs.share > 0.5)


def _inside_lung(chest: Chest, rng: np.random.Generator, margin_cm: float) -> tuple[float, float]:
    """A place in the lungs, clear of the heart, at least so far from the border where there is room."""
    open_lung = (chest.lungs.share > 0.5) & (chest.heart < 1) & (chest.lungs.depth > 3)
    depth_cm = distance_transform_edt(open_lung) / chest.canvas.px_per_cm
    rows, columns = np.nonzero(depth_cm >= min(margin_cm, 0.8 * depth_cm.max()))
    pick = rng.integers(len(rows))
    row, column = rows[pick], columns[pick]
    return float(chest.canvas.x[row, column]), float(chest.canvas.y[row, column])


def effusion(chest: Chest, rng: np.random.Generator) -> None:
    """Fluid over the diaphragm; standing, its level rises to the chest wall; lying, it veils the lung."""
    canvas, body = chest.canvas, chest.body
    for side in (RIGHT, LEFT) if rng.random() < 0.3 else (int(rng.choice((RIGHT, LEFT))),):
        height = rng.uniform(1.5, 7.5)
        outward = np.clip(canvas.x * side / np.float32(body.half_width), 0, 1.05)
        level = body.domes[side] + 1.2 - height * (0.3 + 0.7 * outward**3) + 0.1 * canvas.noise(rng, 2)
        depth = np.clip((canvas.y - level) / np.float32(2.2), 0, 1)
        tissue = np.where(chest.lungs.sides[side], 10.5 * depth, 0)
        if body.supine:
            tissue = tissue + np.where(chest.lungs.sides[side], np.clip((canvas.y - 6) / 12, 0, 1) * 1.6, 0)
        chest.add("Effusion", tissue.astype(np.float32), chest.lungs.sides[side] & (canvas.y > level))


def pneumothorax(chest: Chest, rng: np.random.Generator) -> None:
    """Air outside a collapsed lung: no vessels beyond a thin line."""
    canvas = chest.canvas
    side = int(rng.choice((RIGHT, LEFT)))
    width = rng.uniform(1.4, 4.2)
    lung = chest.lungs.sides[side]
    inward = np.interp(canvas.y, (0, 6, 16, 24), (1.25, 1.0, 0.75, 0.35)).astype(np.float32) * np.float32(width)
    # From the ribs alone: the side of the mediastinum does not come away.
    wall = lung | (canvas.x * side < 4)
    line = distance_transform_edt(wall).astype(np.float32) / np.float32(canvas.px_per_cm) - inward
    outside = lung & (line < 0)
    chest.free_air += np.where(outside, chest.lungs.depth, 0) * canvas.blur((line < 0).astype(np.float32), 0.03)
    chest.vessels *= np.where(outside, 0, 1)
    pleura = np.where(lung, np.exp(-((line / 0.09) ** 2)), 0)
    collapse = np.where(lung & (line >= 0), 0.06 * width * chest.lungs.depth, 0)
    chest.add("Pneumothorax", (0.9 * pleura + 0.4 * collapse).astype(np.float32), outside)


def cardiomegaly(chest: Chest, rng: np.random.Generator) -> None:
    """The enlarged heart itself, which `Body` has measured; its vessels are a little fuller."""
    chest.vessels *= np.float32(rng.uniform(1.05, 1.3))
    chest.masks["Cardiomegaly"] = chest.heart > 1


def atelectasis(chest: Chest, rng: np.random.Generator) -> None:
    """Plates and a wedge of airless lung over the diaphragm of the side that `Body` has made smaller."""
    canvas, side = chest.canvas, chest.atelectasis_side
    dome = chest.body.domes[side]
    total = canvas.blank()
    for _ in range(int(rng.integers(2, 4))):
        y, x = dome - rng.uniform(0.8, 4.0), side * rng.uniform(5, 9)
        knots = np.array([(x - 3, y + rng.normal(0, 0.4)), (x, y), (x + 3, y + rng.normal(0, 0.7))])
        total += canvas.splat(*solid_tube(smooth_curve(knots, 80), np.full(80, rng.uniform(0.25, 0.5))))
    corner = side * 2.6
    wedge = np.clip(1.2 - np.abs(canvas.x - corner) / 5 - np.clip(dome + 1 - canvas.y, 0, 9) / 7, 0, 1)
    total += rng.uniform(3.0, 5.0) * np.sqrt(wedge) * (canvas.x * side > 1.5)
    total = canvas.blur(np.where(chest.lungs.sides[side], 2.0 * total, 0).astype(np.float32), 0.12)
    chest.add("Atelectasis", total)


def emphysema(chest: Chest, rng: np.random.Generator) -> None:
    """Lungs that hold too much air, which `Body` has made long and flat: darker, with few vessels and some bullae."""
    chest.vessels *= np.float32(0.55)
    bullae = np.clip(chest.canvas.noise(rng, 2.2) - 0.6, 0, 1) * np.clip((12 - chest.canvas.y) / 8, 0, 1)
    chest.free_air += (chest.lungs.depth * (0.4 + 0.4 * bullae)).astype(np.float32)
    chest.masks["Emphysema"] = chest.lungs.share > 0.5


def hernia(chest: Chest, rng: np.random.Generator) -> None:
    """Stomach behind the heart: a round shadow with air over a level."""
    radius = rng.uniform(2.6, 4.0)
    centre = (chest.body.shift + rng.uniform(1.5, 4.0), min(chest.body.domes.values()) - rng.uniform(0.2, 1.6))
    shadow = chest.canvas.ellipse(centre, (radius * 1.2, radius))
    level = np.float32(centre[1] - rng.uniform(0.1, 0.4) * radius)
    gas = np.where(chest.canvas.y < level, chest.canvas.ellipse(centre, (radius, radius * 0.82)) * radius, 0)
    chest.tissue += shadow * np.float32(radius)
    chest.gas += chest.canvas.blur((0.9 * gas).astype(np.float32), 0.06)
    chest.masks["Hernia"] = shadow > 0


def tuberculosis(chest: Chest, rng: np.random.Generator) -> None:
    """Patches and small nodules in an upper zone, mostly around a cavity."""
    canvas, side = chest.canvas, int(rng.choice((RIGHT, LEFT)))
    y = rng.uniform(3.2, 6.5)
    centre = (side * rng.uniform(0.42, 0.6) * rib_cage_half_width(chest.body, y), y)
    near = np.exp(-canvas.radius_squared(centre, (3.4, 3.0)))
    patches = np.maximum(canvas.noise(rng, 0.7), 0) + 0.8 * np.maximum(canvas.noise(rng, 0.35) - 0.6, 0)
    tissue = rng.uniform(1.6, 2.8) * near * (patches + 0.5)
    if rng.random() < 0.8:
        radius = rng.uniform(0.9, 2.0)
        distance = np.sqrt(canvas.radius_squared(centre, (radius, radius * rng.uniform(0.8, 1.1))))
        distance = distance + 0.06 * canvas.noise(rng, radius)
        wall = np.exp(-(((distance - 1) * radius / rng.uniform(0.22, 0.4)) ** 2))
        tissue = tissue * np.clip(distance, 0.25, 1) + 3.2 * wall
        chest.free_air += np.where(distance < 1, np.float32(1.2 * radius), 0).astype(np.float32)
    chest.add("Tuberculosis", tissue.astype(np.float32), (near > 0.45) & chest.lungs.sides[side])


LESIONS: Mapping[str, Callable[[Chest, np.random.Generator], None]] = MappingProxyType(
    {
        "Consolidation": consolidation,
        "Infiltration": infiltration,
        "Nodule": nodule,
        "Mass": mass,
        "Effusion": effusion,
        "Pneumothorax": pneumothorax,
        "Cardiomegaly": cardiomegaly,
        "Atelectasis": atelectasis,
        "Emphysema": emphysema,
        "Hernia": hernia,
        "Tuberculosis": tuberculosis,
    }
)
