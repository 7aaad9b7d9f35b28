"""Kermany et al. 2018: chest radiographs of children of 1 to 5 years, Guangzhou (the layout of the Kaggle copy)."""

import re
from collections.abc import Iterator
from pathlib import Path

from models.errors import RawDataMissingError
from pipelines.sources.folders import copy_folder
from pipelines.sources.source import ImageRow

_ROOT = "chest_xray"
_PNEUMONIA = re.compile(r"person(?P<patient>\d+)_(?P<kind>bacteria|virus)_\d+(?:_\d+)?")
_NORMAL = re.compile(r"(?:NORMAL2-)?IM-(?P<patient>\d+)-\d+(?:-\d+)?")
_KINDS = {"bacteria": "Bacterial Pneumonia", "virus": "Viral Pneumonia"}
_THREE = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")


class Kermany:
    """The class stands in the file's name, and so does the patient: `person<id>` under both kinds is one child.

    The publisher's `test` part has ids of its own, so an id names a child within its part only. The 16 images that the
    Kaggle copy calls `val` were taken from its training part and count as that.
    """

    name = "kermany"
    findings = (*_THREE, "Pneumonia")
    drawn = False

    def fetch(self, origin: str, raw_dir: Path) -> None:
        copy_folder(origin, raw_dir, expected=_ROOT)

    def rows(self, raw_dir: Path) -> Iterator[ImageRow]:
        files = sorted(path for path in (raw_dir / _ROOT).glob("*/*/*") if path.suffix.lower() in {".jpeg", ".jpg"})
        if not files:
            raise RawDataMissingError(
                expected=f"{_ROOT}/<part>/<class>/*.jpeg",
                folder=raw_dir,
                remedy="Run: thorax data fetch kermany --from FOLDER",
            )
        for path in files:
            yield self._row(path.relative_to(raw_dir))

    def _row(self, path: Path) -> ImageRow:
        part = "test" if path.parts[1] == "test" else "train"
        kind, patient = self._kind_and_patient(path)
        findings = {name: int(name == kind) for name in _THREE}
        findings["Pneumonia"] = int(kind != "Normal")
        return ImageRow(image=path.as_posix(), patient_id=f"{part}-{patient}", split_official=part, findings=findings)

    @staticmethod
    def _kind_and_patient(path: Path) -> tuple[str, str]:
        if match := _PNEUMONIA.fullmatch(path.stem):
            return _KINDS[match["kind"]], f"person{match['patient']}"
        if match := _NORMAL.fullmatch(path.stem):
            return "Normal", f"IM-{match['patient']}"
        raise RawDataMissingError(
            expected="names such as person1_bacteria_1.jpeg or IM-0115-0001.jpeg",
            folder=path.parent,
            remedy=f"{path.name} is neither; fetch the publisher's files unchanged.",
        )
