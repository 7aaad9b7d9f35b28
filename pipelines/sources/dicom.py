"""An export of a PACS: DICOM files of any name, with a table of labels by UID."""

from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from models.errors import TableError
from models.findings import FINDINGS
from pipelines.raw import RawFiles
from pipelines.sources.card import Card
from pipelines.sources.cells import age_years, is_not_frontal, read_labels, view_position
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.sources.tables import read_table, sex

TABLE = "labels.csv"
_UIDS = ("SOPInstanceUID", "StudyInstanceUID")
_KEYWORDS = (*_UIDS, "PatientID", "IssuerOfPatientID", "PatientSex", "PatientAge", "Modality", "ViewPosition")
_Labels = dict[str, list[dict[str, str]]]


class DicomExport(Source):
    """Patient, study, view, age and sex stand in the header; findings in `labels.csv`, a column each by their names.

    A row is about the image of its `SOPInstanceUID`; where that is blank or not a column, about the images of its
    `StudyInstanceUID` that have no row of their own. CR and DX are radiographs, other modalities are not. Reasons
    quote nothing out of a header or a row.
    """

    name = "dicom"
    findings = tuple(FINDINGS)

    images = ("*", "!*.csv", "!*DICOMDIR")
    required = (TABLE,)

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        records = _records(raw)
        labels: _Labels = defaultdict(list)
        for record in records:
            if uid := _uid(record):
                labels[uid].append(record)
        seen = set()
        for image in raw.matching(self.images):
            header = _header(raw, image)
            if header is None:
                yield Exclusion(image, "unreadable", "its header cannot be read as DICOM")
                continue
            seen |= {header[keyword] for keyword in _UIDS if header[keyword]}
            yield from self._rows(image, header, labels)
        for line, record in enumerate(records, start=2):
            if _uid(record) not in seen:
                yield Exclusion(f"{TABLE} row {line}", "row_without_image", "no file has the UID of this row")

    @staticmethod
    def _rows(image: str, header: dict[str, str], labels: _Labels) -> Iterator[ImageRow | Exclusion]:
        study = header["StudyInstanceUID"]
        patient = f"{header['IssuerOfPatientID']}|{header['PatientID']}" if header["PatientID"] else study
        if header["Modality"] not in {"CR", "DX"}:
            yield Exclusion(image, "not_radiograph", "its modality is neither CR nor DX")
        elif is_not_frontal(header["ViewPosition"]):
            yield Exclusion(image, "not_frontal", "its view position is neither PA nor AP")
        elif not patient:
            yield Exclusion(image, "unknown_patient", "its header has neither a patient's ID nor a study's UID")
        else:
            for record in labels.get(header["SOPInstanceUID"]) or labels.get(study, []):
                columns = {finding: finding for finding in FINDINGS if finding in record}
                findings, uncertain, wrong = read_labels(record, columns)
                if wrong:
                    yield Exclusion(image, "unknown_label", wrong)
                    continue
                yield ImageRow(
                    image=image,
                    patient_id=patient,
                    study_id=study or None,
                    view_position=view_position(header["ViewPosition"]),
                    age_years=age_years(header["PatientAge"]),
                    sex=sex(header["PatientSex"]),
                    findings=findings,
                    uncertain=uncertain,
                )


def _records(raw: RawFiles) -> list[dict[str, str]]:
    """The rows of the table; any column but UIDs and findings is refused, or a misspelt finding would be lost."""
    records = list(read_table(raw, TABLE, ()))
    header = set(records[0]) if records else set()
    if not header & set(_UIDS):
        expected = f"rows with a column {' or '.join(_UIDS)}"
        raise TableError(table=TABLE, expected=expected, received=", ".join(sorted(header)) or "no row")
    if unknown := header - {*_UIDS, *FINDINGS}:
        expected = f"columns out of {', '.join((*_UIDS, *FINDINGS))}"
        raise TableError(table=TABLE, expected=expected, received=", ".join(sorted(unknown)))
    return records


def _uid(record: dict[str, str]) -> str:
    return record.get("SOPInstanceUID") or record.get("StudyInstanceUID", "")


def _header(raw: RawFiles, image: str) -> dict[str, str] | None:
    """Values by keyword, an empty string where there is none; None where it cannot be read as DICOM."""
    try:
        data = raw.read(image)
        dataset = dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=list(_KEYWORDS), force=False)
        return {keyword: _text(dataset, keyword) for keyword in _KEYWORDS}
    except Exception:  # pydicom raises whatever its parser stumbles over
        return None


def _text(dataset: Dataset, keyword: str) -> str:
    element = dataset.get_item(keyword)  # raw: converting a malformed value would warn with the value
    return element.value.decode("latin-1").strip(" \0") if element is not None and element.value else ""
