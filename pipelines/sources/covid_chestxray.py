"""Cohen et al. 2020, COVID-19 Image Data Collection: radiographs out of articles, case reports and hospitals."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.cells import is_not_frontal, view_position
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import number, read_table, sex

_TABLE = "metadata.csv"
_HANNOVER = "ml-workgroup/covid-19-image-repository"
_COLUMNS = ("patientid", "sex", "age", "finding", "view", "modality", "folder", "filename")
_LABELS: dict[str, dict[str, int]] = {
    "No Finding": {"Pneumonia": 0, "COVID-19": 0, "Tuberculosis": 0},
    "Tuberculosis": {"Tuberculosis": 1},
    "Pneumonia": {"Pneumonia": 1},
    "ARDS": {},  # a syndrome of many causes
    "Unknown": {},
    "todo": {},
    "": {},
}
# Below Pneumonia. Older tables give the last name of a path alone, so the leaves are needed.
_BRANCHES = {
    "Viral": ("COVID-19", "SARS", "MERS", "MERS-CoV", "Influenza", "H1N1", "Varicella", "Herpes"),
    "Bacterial": (
        *("Streptococcus", "Staphylococcus", "MRSA", "Klebsiella", "Legionella", "Chlamydophila", "E.Coli", "Nocardia"),
        *("Mycoplasma", "Mycoplasma Bacterial Pneumonia"),
    ),
    "Fungal": ("Pneumocystis", "Aspergillosis"),
    "Lipoid": (),
    "Aspiration": (),
}
_BRANCH = {name: branch for branch, leaves in _BRANCHES.items() for name in (branch, *leaves)}
_KINDS = {"Viral": "Viral Pneumonia", "Bacterial": "Bacterial Pneumonia"}


class CovidChestXray(Source):
    """The column `finding` is a path up a tree, such as Pneumonia/Viral/COVID-19.

    Neither Normal nor the other one of bacterial and viral is ever labelled, so that no adult of this source joins the
    three-class task, which is about children. `todo` and `Unknown` are rows without findings. Rows whose url is the
    repository of Hannover Medical School are copies of its images, under the names they have there.
    """

    name = "covid_chestxray"
    findings = ("Bacterial Pneumonia", "Viral Pneumonia", "Pneumonia", "COVID-19", "Tuberculosis")

    images = ("images/*.png", "images/*.jpg", "images/*.jpeg")
    required = (_TABLE,)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        for record in read_table(raw, _TABLE, _COLUMNS):
            yield self._row(record)

    def _row(self, record: dict[str, str]) -> ImageRow | Exclusion:
        image = f"{record['folder']}/{record['filename']}"
        if record["modality"] != "X-ray":
            return Exclusion(image, "not_radiograph", f"its modality is {record['modality']!r}, not 'X-ray'")
        if is_not_frontal(record["view"]):
            return Exclusion(image, "not_frontal", f"its view is {record['view']!r}, neither PA nor AP")
        findings = self._findings(record["finding"])
        if findings is None:
            return Exclusion(
                image, "unknown_label", f"its finding is {record['finding']!r}, which the publisher's tree lacks"
            )
        return ImageRow(
            image=image,
            patient_id=record["patientid"],
            copy_of=("hannover", PurePosixPath(image).stem) if _HANNOVER in record.get("url", "") else None,
            view_position=view_position(record["view"]),
            age_years=number(record["age"]),
            sex=sex(record["sex"]),
            findings=findings,
        )

    @staticmethod
    def _findings(label: str) -> dict[str, int] | None:
        label = label.removesuffix(", ARDS")  # older tables
        if label in _LABELS:
            return _LABELS[label]
        names = label.removeprefix("Pneumonia/").split("/")
        branch = _BRANCH.get(names[0])
        if branch is None:
            return None
        findings = {"Pneumonia": 1}
        if branch in _KINDS:
            findings[_KINDS[branch]] = 1
        if names != ["Viral"]:  # which virus is not said
            findings["COVID-19"] = int("COVID-19" in names)
        return findings
