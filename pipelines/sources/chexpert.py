"""Irvin et al. 2019: chest radiographs of Stanford Hospital, labels mined from the reports with their uncertainty."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.cells import read_labels, view_position
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import number, read_table, sex

_PATH = re.compile(r".*?(?P<image>(?P<part>train|valid)/(?P<study>(?P<patient>patient\d+)/study\d+)/[^/]+)")
_PARTS = {"train": "train", "valid": "validation"}
_COLUMNS = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Consolidation": "Consolidation",
    "Edema": "Edema",
    "Lung Opacity": "Lung Opacity",
    "Effusion": "Pleural Effusion",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}


class CheXpert(Source):
    """A blank cell is a finding that the report does not mention: not labelled, and never absent.

    Of the publisher's 14 observations those are read that the vocabulary has. `No Finding` is not taken for Normal: it
    allows for support devices. `Path` begins with the name of the publisher's folder; images are looked for beside the
    table itself, in `CheXpert-v1.0-small` and in `CheXpert-v1.0` alike.
    """

    name = "chexpert"
    findings = tuple(_COLUMNS)

    images = ("*CheXpert-v1.0*/train/patient*.jpg", "*CheXpert-v1.0*/valid/patient*.jpg")
    required = ("*CheXpert-v1.0*/*.csv",)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        columns = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *_COLUMNS.values())
        for table in raw.matching(f"*CheXpert-v1.0*/{part}.csv" for part in _PARTS):
            for record in read_table(raw, table, columns):
                yield self._row(PurePosixPath(table).parent, record)

    @staticmethod
    def _row(folder: PurePosixPath, record: dict[str, str]) -> ImageRow | Exclusion:
        path = _PATH.fullmatch(record["Path"])
        if path is None:
            return Exclusion(record["Path"], "unknown_path", "its Path does not end as train/patient1/study1/view1.jpg")
        image = str(folder / path["image"])
        if record["Frontal/Lateral"] != "Frontal":
            return Exclusion(image, "not_frontal", f"its view is {record['Frontal/Lateral']!r}")
        findings, uncertain, wrong = read_labels(record, _COLUMNS)
        if wrong:
            return Exclusion(image, "unknown_label", wrong)
        return ImageRow(
            image=image,
            patient_id=path["patient"],
            study_id=path["study"],
            view_position=view_position(record["AP/PA"]),
            age_years=number(record["Age"]),
            sex=sex(record["Sex"]),
            split_official=_PARTS[path["part"]],
            findings=findings,
            uncertain=uncertain,
        )
