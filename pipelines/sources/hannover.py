"""COVID-19 Image Repository: radiographs of patients with COVID-19, Hannover Medical School, 2020."""

from collections.abc import Iterator

from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.cells import view_position
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import number, read_table, sex

_TABLE = "data.csv"
_COLUMNS = ("patient_id", "image_id", "sex", "age", "modality", "projection")


class Hannover(Source):
    """Every patient had COVID-19: the label is the patient's, whatever the radiograph shows."""

    name = "hannover"
    findings = ("COVID-19",)

    images = ("png/*.png",)
    required = (_TABLE,)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        for record in read_table(raw, _TABLE, _COLUMNS):
            yield self._row(record)

    @staticmethod
    def _row(record: dict[str, str]) -> ImageRow | Exclusion:
        image, view = f"png/{record['image_id']}.png", view_position(record["projection"])
        if record["modality"] not in {"CR", "DX"}:
            return Exclusion(image, "not_radiograph", f"its modality is {record['modality']!r}, neither CR nor DX")
        if record["projection"] and view is None:
            return Exclusion(image, "not_frontal", f"its projection is {record['projection']!r}, neither pa nor ap")
        return ImageRow(
            image=image,
            patient_id=record["patient_id"],
            view_position=view,
            age_years=number(record["age"]),
            sex=sex(record["sex"]),
            findings={"COVID-19": 1},
        )
