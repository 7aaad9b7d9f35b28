"""One phantom: from its record to the film and the masks of its findings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.phantom import skeleton, soft_tissue
from pipelines.phantom.body import LEFT, RIGHT, Body, measure
from pipelines.phantom.canvas import Canvas, Mask
from pipelines.phantom.detector import BONE_PER_CM, LUNG_PER_CM, SOFT_PER_CM, expose, marker, scanner_of
from pipelines.phantom.devices import devices
from pipelines.phantom.lesions import LESIONS, Chest
from pipelines.phantom.record import DRAWN_FINDINGS, PhantomRecord

_PNEUMONIA_SIGNS = ("Consolidation", "Infiltration")
_OPACITY_SIGNS = (*_PNEUMONIA_SIGNS, "Nodule", "Mass", "Atelectasis", "Tuberculosis")


@dataclass(frozen=True, slots=True)
class Phantom:
    """A drawn radiograph.

    Attributes:
        pixels: (height, width) uint8, bone bright.
        masks: for each finding of the record, (height, width) bool.
    """

    pixels: NDArray[np.uint8]
    masks: dict[str, Mask]


def draw_phantom(record: PhantomRecord, height_px: int = 320) -> Phantom:
    """The radiograph of a record; the same for the same record and height.

    Beer-Lambert: the parts' thicknesses times their attenuation add up, and the detector sees the exponential.
    """
    anatomy, image = np.random.default_rng([record.patient_seed, 2]), np.random.default_rng([record.seed, 3])
    disease = np.random.default_rng([record.patient_seed, 4])
    atelectasis_side = int(disease.choice((RIGHT, LEFT)))
    body = measure(record, atelectasis_side)
    canvas = _position(record, body, height_px, image)

    lungs = soft_tissue.lungs(canvas, body)
    chest = Chest(
        canvas=canvas,
        body=body,
        lungs=lungs,
        heart=soft_tissue.heart(canvas, body),
        vessels=soft_tissue.lung_vessels(canvas, body, anatomy),
        tissue=canvas.blank(),
        free_air=canvas.blank(),
        gas=soft_tissue.belly_gas(canvas, body, image) * (lungs.share < 0.5),
        atelectasis_side=atelectasis_side,
    )
    for finding in DRAWN_FINDINGS:
        if finding in record.findings and finding in LESIONS:
            LESIONS[finding](chest, disease)

    trunk = soft_tissue.trunk(canvas, body)
    between = soft_tissue.mediastinum(canvas, body, anatomy)
    # What fills the ribcage shares its depth: tissue takes the place of lung, never more than there is.
    air = np.clip(lungs.depth - chest.heart - between - chest.vessels * lungs.share - chest.tissue, 0, trunk)
    empty = np.minimum(chest.free_air, air)
    solid = np.maximum(trunk - air - chest.gas, 0)
    bone = skeleton.skeleton(canvas, body)
    bone *= np.float32(0.7 if body.child else 1.0)
    attenuation = np.float32(body.size) * (SOFT_PER_CM * solid + LUNG_PER_CM * (air - empty) + BONE_PER_CM * bone)
    attenuation += BONE_PER_CM * (devices(canvas, body, image) + marker(canvas, image))
    pixels = expose(attenuation.astype(np.float32), canvas, scanner_of(record), record.view, image)
    return Phantom(pixels, _named_masks(record, chest.masks))


def _position(record: PhantomRecord, body: Body, height_px: int, rng: np.random.Generator) -> Canvas:
    """Where the patient stands before the detector; children are framed tighter, AP projections magnify."""
    magnified = 0.95 if record.view == "AP" else 1.0
    height_cm = rng.uniform(29, 32) * magnified if body.child else rng.uniform(32, 36) * magnified
    low, high = scanner_of(record).aspect
    return Canvas(
        height_px=height_px,
        width_px=round(height_px * rng.uniform(low, high)),
        height_cm=height_cm,
        centre_cm=(rng.normal(0, 0.7), 12.8 + rng.normal(0, 0.9)),
        rotation_radians=float(np.deg2rad(rng.normal(0, 2.0))),
    )


def _named_masks(record: PhantomRecord, drawn: dict[str, Mask]) -> dict[str, Mask]:
    """The masks of the record's findings; those that are names for others are their union."""
    unions = {"Pneumonia": _PNEUMONIA_SIGNS, "Lung Opacity": _OPACITY_SIGNS}
    return {
        finding: np.logical_or.reduce([drawn[sign] for sign in unions[finding] if sign in drawn])
        if finding in unions
        else drawn[finding]
        for finding in record.findings
    }
