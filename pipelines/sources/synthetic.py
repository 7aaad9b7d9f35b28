"""Drawn chest phantoms: the embedded source, made by the `draw` stage."""

from collections.abc import Iterator

from pipelines.phantom.record import DRAWN_FINDINGS, IMAGES, MASKS, RECORDS, SOURCE
from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.source import ImageRow, Source
from pipelines.sources.tables import read_table

_THREE = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")


class Synthetic(Source):
    """`records.csv` is the ground truth; findings that are never drawn are not labelled."""

    name = SOURCE
    findings = (*_THREE, *DRAWN_FINDINGS)
    drawn = True

    images = (f"{IMAGES}/*.png",)
    required = (RECORDS,)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow]:
        columns = ("image", "patient", "study", "view", "age_years", "sex", "pneumonia", "findings")
        for record in read_table(raw, RECORDS, columns):
            yield self._row(raw, record)

    @staticmethod
    def _row(raw: RawFiles, record: dict[str, str]) -> ImageRow:
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
            masks=_masks(raw, record, drawn),
        )


def _masks(raw: RawFiles, record: dict[str, str], drawn: set[str]) -> dict[str, str]:
    paths = {finding: f"{MASKS}/{record['image']}__{finding}.png" for finding in sorted(drawn)}
    masks = {finding: path for finding, path in paths.items() if path in raw}
    if "Pneumonia" in masks:  # one of the two kinds, with the same lesions
        masks[record["pneumonia"]] = masks["Pneumonia"]
    return masks
