"""COVIDx, the collection of COVID-Net (Wang et al. 2020): radiographs that were gathered from other sources."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

from models.errors import TableError
from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import read_text

# Lists of severity (COVIDxSev) and of other classes stand beside these in the publisher's folder.
_LIST = re.compile(r"(?P<part>train|val|test)(?:_COVIDx(?:_CXR-)?\d+[AB]?)?\.txt")
_LINE = re.compile(
    r"(?P<patient>\S+)\s+(?P<file>.+\.(?:png|jpe?g))\s+(?P<label>\S+)(?:\s+(?P<origin>\S+))?", re.IGNORECASE
)
_PARTS = {"train": "train", "val": "validation", "test": "test"}
_ORIGINS = {"cohen": "covid_chestxray", "rsna": "rsna_pneumonia"}
"""Origins that are sources of their own, whose file names were kept; `cohen` kept the numbers of patients, too."""
_FINDINGS = {
    "normal": {"Normal": 1, "Pneumonia": 0, "COVID-19": 0},
    "pneumonia": {"Normal": 0, "Pneumonia": 1, "COVID-19": 0},
    "COVID-19": {"COVID-19": 1},
    "positive": {"COVID-19": 1},
    "negative": {"COVID-19": 0},
}


class Covidx(Source):
    """A list of the publisher is a part of the split; its lines are patient, file, class and, mostly, origin.

    Origins number their patients independently, so an id is one of its origin. What several lists of a part say of an
    image (the publisher has one of three classes and one of two) is put together; where they disagree it is given up.
    The class COVID-19 leaves open whether pneumonia is to be seen, or anything at all.
    """

    name = "covidx"
    findings = ("Normal", "Pneumonia", "COVID-19")

    images = tuple(f"{part}/*.{extension}" for part in _PARTS for extension in ("png", "jpg", "jpeg"))
    required = ("*t[re]*.txt",)  # train.txt, test_COVIDx9A.txt, ...

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        lines: dict[str, list[re.Match[str]]] = defaultdict(list)
        for path in raw.paths:
            if named := _LIST.fullmatch(PurePosixPath(path).name):
                for line in self._lines(raw, path):
                    lines[f"{named['part']}/{line['file']}"].append(line)
        for image, said in lines.items():
            yield self._row(image, said)

    @staticmethod
    def _row(image: str, said: list[re.Match[str]]) -> ImageRow | Exclusion:
        labels = [line["label"] for line in said]
        findings: dict[str, int] = {}
        for label in labels:
            if label not in _FINDINGS:
                return Exclusion(image, "unknown_label", f"its class is {label!r}, none of {', '.join(_FINDINGS)}")
            if any(findings.setdefault(finding, value) != value for finding, value in _FINDINGS[label].items()):
                return Exclusion(image, "contradiction", f"lists put it into the classes {' and '.join(labels)}")
        origin, patient = said[0]["origin"], said[0]["patient"]
        return ImageRow(
            image=image,
            patient_id=f"{origin} {patient}" if origin and origin != "cohen" else patient,
            patient_source="covid_chestxray" if origin == "cohen" else None,
            copy_of=(_ORIGINS[origin], PurePosixPath(image).stem) if origin in _ORIGINS else None,
            split_official=_PARTS[image.partition("/")[0]],
            findings=findings,
        )

    @staticmethod
    def _lines(raw: RawFiles, path: str) -> Iterator[re.Match[str]]:
        for number, text in enumerate(read_text(raw, path).splitlines(), 1):
            line = _LINE.fullmatch(text.strip())
            if line is None and text.strip():
                expected = "patient, picture (.png, .jpg or .jpeg), class and origin, with blanks between"
                raise TableError(table=path, expected=expected, received=f"something else in line {number}")
            if line:
                yield line
