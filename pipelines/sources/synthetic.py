"""Drawn chest phantoms: the embedded source, made by the `draw` stage."""

import csv
from collections.abc import Iterator
from pathlib import Path

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
        with (raw_dir / RECORDS).open(newline="", encoding="utf-8") as table:
            yield from map(self._row, csv.DictReader(table))

    @staticmethod
    def _row(record: dict[str, str]) -> ImageRow:
        drawn = set(record["findings"].split("|"))
        findings = {name: int(name in drawn) for name in DRAWN_FINDINGS}
        if record["pneumonia"]:
            findings |= {name: int(name == record["pneumonia"]) for name in _THREE}
        return ImageRow(
            image=f"{IMAGES}/{record['image']}.png",
            patient_id=record["patient"],
            study_id=record["study"],
            view_position=record["view"],
            age_years=float(record["age_years"]),
            sex=record["sex"],
            findings=findings,
        )
