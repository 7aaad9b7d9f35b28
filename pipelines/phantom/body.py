"""The measures of one patient in one position."""

from dataclasses import dataclass

import numpy as np

from pipelines.phantom.canvas import Points
from pipelines.phantom.record import PhantomRecord

RIGHT, LEFT = -1, 1


@dataclass(frozen=True, slots=True)
class Body:
    """Centimetres of the plan, except where said.

    Attributes:
        size: of the patient against an adult; scales the thickness that X-rays cross, not the plan.
        half_width: of the ribcage, inside, at its widest.
        domes: y of the diaphragm's top, right and left.
        angles: y of the costophrenic angles, right and left.
        heart_half_widths: of the heart's right and left border from the midline.
        heart_y: of the heart's middle.
        shift: of heart and mediastinum towards the patient's left.
        rib_drop: how much lower a rib's front end lies than its back end.
        depth: of the trunk, front to back.
        lung_depth: of the lungs, front to back.
        fat: of skin and fat around the ribcage.
        breast: thickness of a breast, 0 for none.
        thymus: half width of a child's thymus, 0 for none.
        female, child, supine: as the record says; AP images are of lying patients.
    """

    size: float
    half_width: float
    domes: dict[int, float]
    angles: dict[int, float]
    heart_half_widths: dict[int, float]
    heart_y: float
    shift: float
    rib_drop: float
    depth: float
    lung_depth: float
    fat: float
    breast: float
    thymus: float
    female: bool
    child: bool
    supine: bool


def measure(record: PhantomRecord, atelectasis_side: int) -> Body:
    """The patient's own measures, with those that the position, the breath and the findings change.

    Args:
        record: who, how, and with what.
        atelectasis_side: RIGHT or LEFT; the side that loses volume, if Atelectasis is among the findings.
    """
    patient, image = np.random.default_rng(record.patient_seed), np.random.default_rng([record.seed, 1])
    findings = set(record.findings)
    childhood = float(np.clip((14 - record.age_years) / 13, 0, 1))  # 1 at one year, 0 from fourteen
    female, supine = record.sex == "F", record.view == "AP"
    half_width = patient.normal(12.9 if female else 13.7, 0.6) + childhood * 0.6
    breath = image.normal(0.4 if supine else 0.0, 0.5) + 1.2 * childhood  # higher diaphragm
    dome = 21.6 - 1.3 * breath + patient.normal(0, 0.5)
    lower_left = patient.uniform(0.6, 1.8)
    domes = {RIGHT: dome, LEFT: dome + lower_left}
    recess = patient.uniform(3.0, 4.2) - 1.2 * childhood
    ratio = patient.normal(0.45 + 0.05 * childhood, 0.02) * (1.06 if supine else 1.0)
    if "Cardiomegaly" in findings:
        ratio = patient.uniform(0.57, 0.68)
    shift = image.normal(0, 0.25)
    if "Emphysema" in findings:
        domes = {side: y + 2.6 for side, y in domes.items()}
        recess, ratio = 1.3, ratio * 0.85
    if "Atelectasis" in findings:
        domes[atelectasis_side] -= image.uniform(1.2, 2.4)
        shift += atelectasis_side * image.uniform(0.8, 1.6)
    heart_width = 2 * half_width * ratio
    return Body(
        size=1 - 0.55 * childhood,
        half_width=half_width,
        domes=domes,
        angles={side: y + recess for side, y in domes.items()},
        heart_half_widths={RIGHT: heart_width * patient.uniform(0.27, 0.32), LEFT: heart_width * 0.70},
        heart_y=min(domes.values()) - 4.4,
        shift=shift,
        rib_drop=patient.uniform(7.2, 9.0) - (2.2 if supine else 0) - 2.5 * childhood,
        depth=patient.normal(21.5, 1.8),
        lung_depth=patient.normal(15.5, 0.8) + (2.0 if "Emphysema" in findings else 0),
        fat=float(np.clip(patient.normal(2.2, 0.7), 1.0, 4.5)) * (1 - 0.5 * childhood),
        breast=float(np.clip(patient.normal(3.6, 1.3), 0.8, 6.5)) if female and record.age_years >= 14 else 0.0,
        thymus=patient.uniform(2.8, 4.2) if record.age_years < 3 else 0.0,
        female=female,
        child=record.age_years < 14,
        supine=supine,
    )


def lung_outline(body: Body, side: int) -> Points:
    """(n, 2) corners of a lung as the ribs, the diaphragm and the spine bound it."""
    w, dome, angle = body.half_width, body.domes[side], body.angles[side]
    knots = [
        (2.0, 2.6),
        (2.8, 0.7),
        (4.6, 0.0),
        (6.7, 0.9),
        (0.66 * w, 3.4),
        (0.84 * w, 7.5),
        (0.95 * w, 13.0),
        (1.0 * w, 0.55 * 13 + 0.45 * angle + 2.0),
        (1.005 * w, angle - 1.2),
        (0.985 * w, angle),
        (0.9 * w, 0.62 * angle + 0.38 * dome),
        (0.75 * w, 0.16 * angle + 0.84 * dome),
        (0.58 * w, dome - 0.05),
        (0.38 * w, dome + 0.15),
        (0.2 * w, dome + 1.3),
        (2.1, dome + 2.0),
        (1.9, 15.0),
        (1.9, 8.0),
    ]
    return np.array(knots, np.float64) * (side, 1)


def rib_cage_half_width(body: Body, y: float) -> float:
    """Half the inner width of the ribcage at a height, where the ribs turn from the back to the front."""
    heights = (-2.0, 0.0, 3.4, 7.5, 13.0, 20.0, 28.0, 36.0)
    widths = (0.30, 0.46, 0.68, 0.86, 0.97, 1.02, 1.0, 0.96)
    return float(np.interp(y, heights, widths)) * body.half_width
