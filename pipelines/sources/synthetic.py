"""Drawn chest phantoms: the embedded source, made by the `draw` stage."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from models.errors import RawDataMissingError
from pipelines.phantom.record import DRAWN_FINDINGS
from pipelines.sources.folders import copy_folder
from pipelines.sources.source import ImageRow

RECORDS = "records.csv"
IMAGES = "images"
MASKS = "masks"
_THREE = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")


class Synthetic:
    """`records.csv` is the ground truth; findings that are never drawn are not labelled."""

    name = "synthetic"
    findings = (*_THREE, *DRAWN_FINDINGS)
    drawn = True

    def fetch(self, origin: str, raw_dir: Path) -> None:
        copy_folder(origin, raw_dir, expected=RECORDS)

    def rows(self, raw_dir: Path) -> Iterator[ImageRow]:
        if not (raw_dir / RECORDS).exists():
            raise RawDataMissingError(expected=RECORDS, folder=raw_dir, remedy="Run: dvc repro draw")
        records = pd.read_csv(raw_dir / RECORDS, keep_default_na=False)
        for record in records.to_dict("records"):
            drawn = set(str(record["findings"]).split("|"))
            findings = {name: int(name in drawn) for name in DRAWN_FINDINGS}
            if record["pneumonia"]:
                findings |= {name: int(name == record["pneumonia"]) for name in _THREE}
            yield ImageRow(
                image=f"{IMAGES}/{record['image']}.png",
                patient_id=str(record["patient"]),
                study_id=str(record["study"]),
                view_position=str(record["view"]),
                age_years=float(record["age_years"]),
                sex=str(record["sex"]),
                findings=findings,
            )
