"""The ground truth of one drawn image."""

from dataclasses import dataclass

SOURCE = "synthetic"
RECORDS = "records.csv"
IMAGES = "images"
MASKS = "masks"
"""What the drawings are called as a data source, and where things are in its folder."""

DRAWN_FINDINGS = (
    "Consolidation",
    "Infiltration",
    "Pneumonia",
    "Nodule",
    "Mass",
    "Effusion",
    "Pneumothorax",
    "Cardiomegaly",
    "Atelectasis",
    "Emphysema",
    "Hernia",
    "Tuberculosis",
    "Lung Opacity",
)


@dataclass(frozen=True, slots=True)
class PhantomRecord:
    """One image; everything drawn follows from it.

    Attributes:
        image: name, unique in the cohort.
        patient: images of one patient share it, and the anatomy.
        study: images of one examination share it.
        view: "PA" or "AP".
        age_years: at the time of the image.
        sex: "M" or "F".
        scanner: a key of `pipelines.phantom.detector.SCANNERS`.
        findings: names out of `DRAWN_FINDINGS`, in that order.
        pneumonia: the class of the task `pneumonia`; empty where the image has another disease.
        patient_seed: of the anatomy.
        seed: of everything else in the image.
    """

    image: str
    patient: str
    study: str
    view: str
    age_years: float
    sex: str
    scanner: str
    findings: tuple[str, ...]
    pneumonia: str
    patient_seed: int
    seed: int
