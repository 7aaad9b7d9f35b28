"""Who is examined, and what they have: records whose findings occur together as in a hospital."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.phantom.detector import SCANNERS
from pipelines.phantom.record import DRAWN_FINDINGS, PhantomRecord

_CLASSES = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia", "")
_CLASS_SHARES = (0.27, 0.27, 0.27, 0.19)
_ATYPICAL = 0.04  # of pneumonias show the other kind's pattern: a radiograph does not tell them apart for certain
_SECOND_IMAGE = 0.25
_CHILD = 0.25
_NOT_IN_CHILDREN = {"Emphysema", "Mass", "Hernia"}
_OPACITIES = {"Consolidation", "Infiltration", "Pneumonia", "Nodule", "Mass", "Atelectasis", "Tuberculosis"}

# Diseases of the patients without pneumonia: each leads, the others come with it at their chance.
_OTHER_DISEASES: tuple[tuple[str, dict[str, float]], ...] = (
    ("Nodule", {"Emphysema": 0.2}),
    ("Mass", {"Effusion": 0.3, "Nodule": 0.3, "Atelectasis": 0.2}),
    ("Effusion", {"Cardiomegaly": 0.4, "Atelectasis": 0.3}),
    ("Pneumothorax", {"Emphysema": 0.2, "Effusion": 0.15}),
    ("Cardiomegaly", {"Effusion": 0.35}),
    ("Atelectasis", {"Effusion": 0.3}),
    ("Emphysema", {"Nodule": 0.15}),
    ("Hernia", {"Atelectasis": 0.1}),
    ("Tuberculosis", {"Effusion": 0.2}),
)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Something besides the disease that a model can learn in its place: the look of the scanner.

    Attributes:
        finding: that the scanner follows from; a name of `DRAWN_FINDINGS`.
        correlation: the share of images whose scanner follows from it instead of chance; in [0, 1].
    """

    finding: str
    correlation: float


NO_SHORTCUT = Shortcut("Pneumonia", 0.0)


def cohort(patients: int, seed: int, shortcut: Shortcut = NO_SHORTCUT) -> list[PhantomRecord]:
    """Records of so many patients, one or two images each.

    Each patient follows from the seed and their number alone, so that a larger cohort begins with the smaller one.

    Args:
        patients: number of them.
        seed: of the cohort.
        shortcut: planted in it.
    """
    return [
        record
        for number in range(patients)
        for record in _images(number, np.random.default_rng([seed, number]), shortcut)
    ]


def _images(number: int, rng: np.random.Generator, shortcut: Shortcut) -> Iterator[PhantomRecord]:
    child = rng.random() < _CHILD
    age = rng.uniform(1, 12) if child else float(np.clip(rng.normal(52, 18), 16, 92))
    sex = "F" if rng.random() < 0.5 else "M"
    pneumonia = _CLASSES[rng.choice(len(_CLASSES), p=_CLASS_SHARES)]
    findings = _findings(pneumonia, child, rng)
    patient_seed = int(rng.integers(2**31))
    for image in range(1 + (rng.random() < _SECOND_IMAGE)):
        view = "AP" if rng.random() < (0.8 if child else 0.3) else "PA"
        by_finding = rng.random() < shortcut.correlation
        by_chance = rng.random() < 0.5
        scanner = SCANNERS[int(shortcut.finding in findings) if by_finding else int(by_chance)].name
        yield PhantomRecord(
            image=f"P{number:05d}-{image}",
            patient=f"P{number:05d}",
            study=f"P{number:05d}-S{image}",
            view=view,
            age_years=round(age + image * 0.1, 1),
            sex=sex,
            scanner=scanner,
            findings=findings,
            pneumonia=pneumonia,
            patient_seed=patient_seed,
            seed=int(rng.integers(2**31)),
        )


def _findings(pneumonia: str, child: bool, rng: np.random.Generator) -> tuple[str, ...]:
    found: set[str] = set()
    if pneumonia in {"Bacterial Pneumonia", "Viral Pneumonia"}:
        bacterial_pattern = (pneumonia == "Bacterial Pneumonia") != (rng.random() < _ATYPICAL)
        found = {"Pneumonia", "Consolidation" if bacterial_pattern else "Infiltration"}
        found |= {"Effusion"} if rng.random() < (0.15 if bacterial_pattern else 0.03) else set()
        found |= {"Cardiomegaly"} if rng.random() < 0.06 else set()
    elif not pneumonia:
        possible = [d for d in _OTHER_DISEASES if not (child and d[0] in _NOT_IN_CHILDREN)]
        leading, companions = possible[rng.integers(len(possible))]
        found = {leading} | {name for name, chance in companions.items() if rng.random() < chance}
        found -= _NOT_IN_CHILDREN if child else set()
    if found & _OPACITIES:
        found.add("Lung Opacity")
    return tuple(name for name in DRAWN_FINDINGS if name in found)
