"""What the two tuberculosis sets of the U.S. National Library of Medicine share."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.cells import age_years
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import read_text, sex

_NAME = re.compile(r"[A-Z]+_(?P<patient>\d+)_(?P<tuberculosis>[01])")


class TuberculosisSet(Source):
    """The last digit of a file's name is the label: 0 normal, 1 manifestations of tuberculosis.

    `ClinicalReadings/<name>.txt`, where it is there, gives sex and age.

    Attributes:
        reading: finds `sex` and `age` in a reading.
        same_patient: finds the `patient` that a reading says the image is of, if it is not one of its own.
        view: of every image, None where the publisher does not say.
    """

    findings = ("Normal", "Tuberculosis")

    reading: re.Pattern[str]
    same_patient: re.Pattern[str] | None = None
    view: str | None = None

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        for image in raw.matching(self.images):
            named = _NAME.fullmatch(PurePosixPath(image).stem)
            if named is None:
                yield Exclusion(image, "unknown_label", "its name ends neither in _0 nor in _1 after a number")
                continue
            text = self._text(raw, PurePosixPath(image))
            read = self.reading.search(text)
            same = self.same_patient and self.same_patient.search(text)
            tuberculosis = int(named["tuberculosis"])
            yield ImageRow(
                image=image,
                patient_id=(same or named)["patient"],
                view_position=self.view,
                age_years=age_years(read["age"]) if read else None,
                sex=sex(read["sex"]) if read else None,
                findings={"Normal": 1 - tuberculosis, "Tuberculosis": tuberculosis},
            )

    @staticmethod
    def _text(raw: RawFiles, image: PurePosixPath) -> str:
        path = str(image.parent.parent / "ClinicalReadings" / f"{image.stem}.txt")
        return read_text(raw, path) if path in raw else ""
