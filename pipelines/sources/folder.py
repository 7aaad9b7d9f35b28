"""A data set in the user's own layout, which its card describes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from models.errors import SettingsError
from models.findings import FINDINGS, check_finding
from pipelines.raw import RawFiles
from pipelines.sources.card import Card, Columns
from pipelines.sources.cells import is_not_frontal, read_labels, view_position
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import number, read_table, sex

_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


class Folder(Source):
    """Images whose folders are classes, or images with a table.

    With `classes` in the card, the innermost of an image's folders that is one of them gives its findings. Nothing
    tells which images are of one patient, so each counts as a patient of its own: a set with several images of a
    patient needs a table, or it leaks from one side of a split to the other.

    With `table` and `columns`, an image is named by its path below the raw folder, or by its file's name where no
    other file has that name.

    Another set needs a card `data/sources/my_hospital.yaml`, and `MY_HOSPITAL = Folder("my_hospital")` as a source.

    Args:
        name: of the source and its card.
    """

    findings = tuple(FINDINGS)
    images = ("*.png", "*.jpg", "*.jpeg", "*.dcm")
    required = ("*.[pjd][npc][gem]*",)  # a file of any of these kinds

    def __init__(self, name: str = "folder") -> None:
        self.name = name

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        """What folders or table say of each image.

        Raises:
            SettingsError: the card describes neither classes nor a table with its columns, or both.
            UnknownNameError: the card names a finding that is not in the vocabulary.
            TableError: the table is not there or lacks a column.
        """
        match bool(card.classes), card.table, card.columns:
            case True, None, None:
                yield from self._by_class(raw, card.classes)
            case False, str() as table, Columns() as columns:
                yield from self._by_table(raw, table, columns)
            case _:
                reason = (
                    "expected either classes, or table with columns; give one of both, see pipelines/sources/card.py"
                )
                raise SettingsError(where=f"data/sources/{self.name}.yaml", reason=reason)

    def _by_class(self, raw: RawFiles, classes: Mapping[str, Mapping[str, int]]) -> Iterator[ImageRow | Exclusion]:
        for findings in classes.values():
            for finding in findings:
                check_finding(finding)
        for image in raw.matching(self.images):
            folders = reversed(PurePosixPath(image).parent.parts)
            found = next((folder for folder in folders if folder in classes), None)
            if found is None:
                yield Exclusion(
                    image, "unknown_label", f"none of its folders is a class; classes are {', '.join(classes)}"
                )
            else:
                yield ImageRow(image=image, patient_id=image, findings=classes[found])

    def _by_table(self, raw: RawFiles, table: str, columns: Columns) -> Iterator[ImageRow | Exclusion]:
        for finding in columns.findings:
            check_finding(finding)
        paths: dict[str, list[str]] = defaultdict(list)
        for path in raw.matching(self.images):
            paths[PurePosixPath(path).name].append(path)
        described = columns.model_dump(exclude={"findings"}, exclude_none=True)
        for record in read_table(raw, table, [*described.values(), *columns.findings.values()]):
            cells = defaultdict(str, {key: record[column] for key, column in described.items()})
            named = cells["image"]
            images = [named] if named in raw else paths.get(named, [named])
            if len(images) > 1:
                yield Exclusion(named, "ambiguous_image", f"{len(images)} files have its name; give their paths")
            else:
                yield self._row(images[0], cells, *read_labels(record, columns.findings))

    @staticmethod
    def _row(
        image: str, cells: Mapping[str, str], findings: dict[str, int], uncertain: tuple[str, ...], wrong: str | None
    ) -> ImageRow | Exclusion:
        if wrong:
            return Exclusion(image, "unknown_label", wrong)
        if not cells["patient_id"]:
            return Exclusion(image, "unknown_patient", "its patient is blank, so that no split can hold it")
        if is_not_frontal(cells["view_position"]):
            return Exclusion(image, "not_frontal", "its view is neither PA nor AP")
        if cells["split_official"].lower() not in {*_SPLITS, ""}:
            return Exclusion(image, "unknown_split", "its split is neither train, validation, test nor blank")
        return ImageRow(
            image=image,
            patient_id=cells["patient_id"],
            study_id=cells["study_id"] or None,
            view_position=view_position(cells["view_position"]),
            age_years=number(cells["age_years"]),
            sex=sex(cells["sex"]),
            split_official=_SPLITS.get(cells["split_official"].lower()),
            findings=findings,
            uncertain=uncertain,
        )
