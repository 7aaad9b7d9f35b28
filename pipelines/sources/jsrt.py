"""Shiraishi et al. 2000: digitised films with and without a lung nodule (JSRT)."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import numpy as np

from models.errors import MalformedFileError, TableError
from models.radiograph import GREY_LEVELS, Radiograph
from pipelines.raw import RawFiles
from pipelines.sources.boxes import box_in_shares
from pipelines.sources.card import Card
from pipelines.sources.source import Box, Exclusion, ImageRow, Source
from pipelines.sources.tables import number, read_text, sex

_WITH_NODULE, _WITHOUT_NODULE = "*CLNDAT_EN.TXT", "*CNNDAT_EN.TXT"
_CASE = "*JPC[LN]N[0-9][0-9][0-9]"
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_SIDE_PX = 2048
_BYTES = 2 * _SIDE_PX**2
_LARGEST = 4095
_MM_A_PIXEL = 0.175
_FINDINGS = {
    "malignant": {"Nodule": 1, "Lung Cancer": 1},
    "benign": {"Nodule": 1, "Lung Cancer": 0},
    "non-nodule": {"Nodule": 0, "Lung Cancer": 0},
}


class Jsrt(Source):
    """A case is one image and counts as a patient; its tables have no header, and blanks or tabs between the cells.

    With a nodule: file, subtlety, size in mm, age, sex, x, y, malignant or benign, place, diagnosis. Without: file,
    age, sex, "non-nodule". A question mark is a value that is not known. The publisher gives a nodule's centre, so its
    box is a square about it, as wide as the nodule is large. A malignant nodule counts as lung cancer, a metastasis
    too. Of a case that is there as published and as a conversion to PNG or JPEG, the published file has the row.
    """

    name = "jsrt"
    findings = ("Nodule", "Lung Cancer")

    images = (f"{_CASE}.img", f"{_CASE}.png", f"{_CASE}.jp*g")
    required = (_WITH_NODULE, _WITHOUT_NODULE)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        paths = [path for pattern in reversed(self.images) for path in raw.matching((pattern,))]
        images = {PurePosixPath(path).stem.upper(): path for path in paths}
        for name, _, size, age, gender, x, y, kind in self._cells(raw, _WITH_NODULE, 8):
            yield self._row(images, name, age, gender, kind, self._square(number(x), number(y), number(size)))
        for name, age, gender, kind in self._cells(raw, _WITHOUT_NODULE, 4):
            yield self._row(images, name, age, gender, kind, None)

    def decode(self, data: bytes) -> Radiograph:
        """The publisher's raw pixels, 12 bits in 16 and the larger the darker, or a conversion to PNG or JPEG."""
        if data.startswith(_SIGNATURES):
            return super().decode(data)
        if len(data) != _BYTES:
            raise MalformedFileError(format="JSRT", reason=f"it has {len(data):,} bytes instead of {_BYTES:,}")
        darkness = np.frombuffer(data, ">u2").reshape(_SIDE_PX, _SIDE_PX)
        if darkness.max() > _LARGEST:
            raise MalformedFileError(format="JSRT", reason=f"it has values above {_LARGEST}, the largest of 12 bits")
        return Radiograph(np.rint((_LARGEST - darkness) * (GREY_LEVELS / _LARGEST)).astype(np.uint16))

    @staticmethod
    def _row(
        images: Mapping[str, str], name: str, age: str, gender: str, kind: str, box: Box | None
    ) -> ImageRow | Exclusion:
        case = PurePosixPath(name).stem.upper()
        image = images.get(case, name)
        if kind not in _FINDINGS:
            return Exclusion(image, "unknown_label", f"its table calls it {kind!r}, none of {', '.join(_FINDINGS)}")
        return ImageRow(
            image=image,
            patient_id=case,
            view_position="PA",
            age_years=number(age),
            sex=sex(gender),
            findings=_FINDINGS[kind],
            boxes=(box,) if box else (),
        )

    @staticmethod
    def _square(x: float | None, y: float | None, size_mm: float | None) -> Box | None:
        if x is None or y is None or size_mm is None:
            return None
        side = size_mm / _MM_A_PIXEL
        return box_in_shares("Nodule", (x - side / 2, y - side / 2, side, side), _SIDE_PX)

    @staticmethod
    def _cells(raw: RawFiles, pattern: str, count: int) -> Iterator[list[str]]:
        """The first `count` cells of each line that is not blank."""
        table = next(iter(raw.matching((pattern,))), pattern)
        for line, text in enumerate(read_text(raw, table).splitlines(), 1):
            cells = text.split()
            if cells and len(cells) < count:
                raise TableError(table=table, expected=f"{count} cells a line", received=f"{len(cells)} in line {line}")
            if cells:
                yield cells[:count]
