"""RSNA Pneumonia Detection Challenge 2018: radiographs of ChestX-ray14, read anew by radiologists."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping

from models.errors import TableError
from pipelines.raw import RawFiles
from pipelines.sources.boxes import box_in_shares
from pipelines.sources.card import Card
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import number, read_table, read_text

_LABELS = "stage_2_train_labels.csv"
_CLASSES = "stage_2_detailed_class_info.csv"
_NIH = "nih_chestxray14"
_MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
_TRAIN, _TEST = "stage_2_train_images", "stage_2_test_images"
_SIDES = ("x", "y", "width", "height")
_SIDE_PX = 1024
_OPACITY, _NORMAL, _OTHER = "Lung Opacity", "Normal", "No Lung Opacity / Not Normal"
_CLASSES_OF_TARGET = {"1": {_OPACITY}, "0": {_NORMAL, _OTHER}}


class RsnaPneumonia(Source):
    """An image is what the challenge calls a patient; its tables have a row for each box.

    With the challenge's own mapping beside the tables, an image belongs to the NIH patient it was drawn from. An
    opacity here is one that may be pneumonia; age, sex and view stand in the DICOM headers.
    """

    name = "rsna_pneumonia"
    findings = (_NORMAL, _OPACITY)

    images = (f"{_TRAIN}/*.dcm", f"{_TEST}/*.dcm")
    required = (_LABELS, _CLASSES)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        labels: dict[str, list[dict[str, str]]] = defaultdict(list)
        for record in read_table(raw, _LABELS, ("patientId", *_SIDES, "Target")):
            labels[record["patientId"]].append(record)
        kinds: dict[str, set[str]] = defaultdict(set)
        for record in read_table(raw, _CLASSES, ("patientId", "class")):
            kinds[record["patientId"]].add(record["class"])
        nih = self._nih_images(raw)
        for name, records in labels.items():
            yield self._row(name, records, kinds[name], nih.get(name))
        for image in raw.matching((f"{_TEST}/*.dcm",)):
            yield Exclusion(image, "no_label", "the challenge's tables have no rows for its test part")

    @staticmethod
    def _row(name: str, records: list[dict[str, str]], kinds: set[str], nih: str | None) -> ImageRow | Exclusion:
        image = f"{_TRAIN}/{name}.dcm"
        targets = {record["Target"] for record in records}
        if unknown := (targets - _CLASSES_OF_TARGET.keys()) | (kinds - {_OPACITY, _NORMAL, _OTHER}):
            return Exclusion(image, "unknown_label", f"the tables label it {', '.join(map(repr, sorted(unknown)))}")
        target, *others = sorted(targets)
        if others or len(kinds) > 1 or not kinds <= _CLASSES_OF_TARGET[target]:
            said = f"Target {' and '.join(sorted(targets))} and class {' and '.join(sorted(kinds))}"
            return Exclusion(image, "contradiction", f"the tables give it {said}")
        findings = {_OPACITY: int(target)}
        if kinds:
            findings[_NORMAL] = int(_NORMAL in kinds)
        boxes = (box_in_shares(_OPACITY, (number(record[side]) for side in _SIDES), _SIDE_PX) for record in records)
        return ImageRow(
            image=image,
            patient_id=str(int(nih.partition("_")[0])) if nih else name,
            patient_source=_NIH if nih else None,
            copy_of=(_NIH, nih) if nih else None,
            findings=findings,
            boxes=tuple(box for box in boxes if box),
        )

    @staticmethod
    def _nih_images(raw: RawFiles) -> Mapping[str, str]:
        """The NIH image each was drawn from, such as `00000001_000`; empty without the mapping."""
        if _MAPPING not in raw:
            return {}
        try:
            entries = json.loads(read_text(raw, _MAPPING))
            return {entry["subset_img_id"]: entry["img_id"].removesuffix(".png") for entry in entries}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TableError(
                table=_MAPPING,
                expected="a JSON list of objects with the texts subset_img_id and img_id",
                received=f"another content ({type(error).__name__})",
            ) from error
