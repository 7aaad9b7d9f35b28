"""Kermany et al. 2018: chest radiographs of children of 1 to 5 years, Guangzhou (the layout of the Kaggle copy)."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.source import Exclusion, ImageRow, Source

_ROOT = "chest_xray"
_PNEUMONIA = re.compile(r"person(?P<patient>\d+)_(?P<kind>bacteria|virus)_\d+(?:_\d+)?")
_NORMAL = re.compile(r"(?:NORMAL2-)?IM-(?P<patient>\d+)-\d+(?:-\d+)?")
_KINDS = {"bacteria": "Bacterial Pneumonia", "virus": "Viral Pneumonia"}
_THREE = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")


class Kermany(Source):
    """The class stands in the file's name, and so does the patient: `person<id>` under both kinds is one child.

    The publisher's `test` part has ids of its own, so an id names a child within its part only. The 16 images that the
    Kaggle copy calls `val` were taken from its training part and count as that.
    """

    name = "kermany"
    findings = (*_THREE, "Pneumonia")

    images = (f"{_ROOT}/*/*/*.jpeg", f"{_ROOT}/*/*/*.jpg")
    required = (f"{_ROOT}/*/*/*.jp*g",)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        for image in raw.matching(self.images):
            path = PurePosixPath(image)
            part = "test" if path.parts[1] == "test" else "train"
            named = self._kind_and_patient(path.stem)
            if named is None:
                yield Exclusion(image, "unknown_label", "its name is neither person1_bacteria_1 nor IM-0115-0001")
                continue
            kind, patient = named
            findings = {name: int(name == kind) for name in _THREE}
            findings["Pneumonia"] = int(kind != "Normal")
            yield ImageRow(image=image, patient_id=f"{part}-{patient}", split_official=part, findings=findings)

    @staticmethod
    def _kind_and_patient(stem: str) -> tuple[str, str] | None:
        if match := _PNEUMONIA.fullmatch(stem):
            return _KINDS[match["kind"]], f"person{match['patient']}"
        if match := _NORMAL.fullmatch(stem):
            return "Normal", f"IM-{match['patient']}"
        return None
