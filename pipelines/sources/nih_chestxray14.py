"""Wang et al. 2017: frontal chest radiographs of the NIH Clinical Center, labels mined from the reports."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from models.errors import TableError
from pipelines.raw import RawFiles
from pipelines.sources.boxes import box_in_shares
from pipelines.sources.card import Card
from pipelines.sources.cells import view_position
from pipelines.sources.source import Box, Exclusion, ImageRow, Source
from pipelines.sources.tables import number, read_table, read_text, sex

_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_BOXES = "BBox_List_2017.csv"
_LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
# The publisher's header is `Bbox [x,y,w,h]`, whose commas make four columns of it.
_BOX_COLUMNS = ("Bbox [x", "y", "w", "h]")
_BOX_SIDE_PX = 1024
_NO_FINDING = "No Finding"


def patient_number(published: str) -> str:
    """The number of an NIH patient without leading zeros: "1" for the table's "1" and the file name's "00000001"."""
    return published.lstrip("0")


class NihChestXray14(Source):
    """A row names the findings of its image; the others of the 14 are absent, as the publisher defines it.

    The lists of the official split and the boxes are read where they are. Boxes are pixels of the published images,
    1024 to a side.
    """

    name = "nih_chestxray14"
    findings = (
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
        "Consolidation",
        "Edema",
        "Emphysema",
        "Fibrosis",
        "Pleural Thickening",
        "Hernia",
    )

    images = ("images*/*.png",)
    required = ("Data_Entry_2017*.csv",)

    _published: Mapping[str, str] = {finding.replace(" ", "_"): finding for finding in findings}

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        table = next((path for path in _TABLES if path in raw), _TABLES[0])
        columns = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position")
        images = {PurePosixPath(path).name: path for path in raw.matching(self.images)}
        parts = {name: part for part, path in _LISTS.items() if path in raw for name in read_text(raw, path).split()}
        boxes = self._boxes(raw)
        for record in read_table(raw, table, columns):
            name = record["Image Index"]
            image = images.get(name, f"images/{name}")
            named = set(record["Finding Labels"].split("|")) - {_NO_FINDING}
            if unknown := named - self._published.keys():
                yield Exclusion(image, "unknown_label", f"{table} labels it {', '.join(sorted(unknown)) or 'nothing'}")
                continue
            yield ImageRow(
                image=image,
                patient_id=patient_number(record["Patient ID"]),
                view_position=view_position(record["View Position"]),
                age_years=number(record["Patient Age"]),
                sex=sex(record["Patient Gender"]),
                split_official=parts.get(name),
                findings={finding: int(label in named) for label, finding in self._published.items()},
                boxes=tuple(boxes.get(name, ())),
            )

    def _boxes(self, raw: RawFiles) -> Mapping[str, list[Box]]:
        found: dict[str, list[Box]] = defaultdict(list)
        if _BOXES not in raw:
            return found
        spellings = {**self._published, "Infiltrate": "Infiltration"}
        for record in read_table(raw, _BOXES, ("Image Index", "Finding Label", *_BOX_COLUMNS)):
            label = record["Finding Label"]
            if label not in spellings:
                raise TableError(table=_BOXES, expected=f"labels among {', '.join(spellings)}", received=repr(label))
            pixels = (number(record[column]) for column in _BOX_COLUMNS)
            if box := box_in_shares(spellings[label], pixels, _BOX_SIDE_PX):
                found[record["Image Index"]].append(box)
        return found
