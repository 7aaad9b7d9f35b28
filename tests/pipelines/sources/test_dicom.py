"""An export of a PACS: the header gives the patient and the view, labels.csv the findings."""

import warnings

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from models.errors import TableError
from pipelines.sources.dicom import DicomExport
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.sources.listing import listed, write_text

STUDY, OTHER_STUDY = "1.2.3.1", "1.2.3.2"
DEFAULTS = {"Modality": "DX", "ViewPosition": "PA", "PatientID": "P1", "StudyInstanceUID": STUDY}


def write_dicom(path, uid, pixels=None, **elements):
    """A DX image; an element given as None is left out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, uid
    for keyword, value in (DEFAULTS | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    if pixels is not None:
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation, dataset.PixelData = 7, 0, pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def published(folder, rng):
    raw = folder / "dicom"

    def pixels():
        return rng.integers(0, 256, (32, 32), np.uint8)

    write_dicom(raw / "PAT0/STU0/IM000001", "1.2.3.1.1", pixels(), PatientSex="F", PatientAge="045Y")
    write_dicom(raw / "PAT0/STU0/IM000002", "1.2.3.1.2", pixels(), ViewPosition="LL")
    write_dicom(raw / "PAT1/image.dcm", "1.2.3.2.1", pixels(), PatientID="P2", StudyInstanceUID=OTHER_STUDY,
                ViewPosition="AP", IssuerOfPatientID="CLINIC")  # fmt: skip
    (raw / "DICOMDIR").write_bytes(b"an index of the medium")
    write_text(
        raw / "labels.csv",
        "SOPInstanceUID,StudyInstanceUID,Pneumonia,Effusion,Pleural Thickening",
        "1.2.3.1.1,,1,0,",
        f",{OTHER_STUDY},0,-1,",
    )
    return raw


def by_table(folder, *lines):
    write_text(folder / "labels.csv", *lines)
    return listed(DicomExport(), folder)


def test_headers_and_labels_make_the_rows(tmp_path, noise):
    assert listed(DicomExport(), published(tmp_path, noise)) == [
        ImageRow(
            "PAT0/STU0/IM000001", "|P1", None, STUDY, "PA", 45.0, "F", None, {"Pneumonia": 1, "Effusion": 0}
        ),
        Exclusion("PAT0/STU0/IM000002", "not_frontal", "its view position is neither PA nor AP"),
        ImageRow(
            "PAT1/image.dcm", "CLINIC|P2", None, OTHER_STUDY, "AP", None, None, None, {"Pneumonia": 0}, ("Effusion",)
        ),
    ]  # fmt: skip


def test_a_label_of_the_image_wins_over_that_of_its_study(tmp_path):
    for number in (1, 2):
        write_dicom(tmp_path / f"{number}.dcm", f"1.2.3.1.{number}")
    table = ("StudyInstanceUID,SOPInstanceUID,Nodule", f"{STUDY},,0", f"{STUDY},1.2.3.1.2,1")
    assert [(row.image, row.findings) for row in by_table(tmp_path, *table)] == [
        ("1.dcm", {"Nodule": 0}), ("2.dcm", {"Nodule": 1})
    ]  # fmt: skip


def test_two_rows_of_one_image_are_two_rows(tmp_path):
    write_dicom(tmp_path / "1.dcm", "1.2.3.1.1")
    found = by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.1.1,0", "1.2.3.1.1,1")
    assert [row.findings["Nodule"] for row in found] == [0, 1]


def test_an_image_without_a_label_is_no_row_and_a_label_without_an_image_is_given_up(tmp_path):
    write_dicom(tmp_path / "1.dcm", "1.2.3.1.1")
    assert by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.9,1", ",0") == [
        Exclusion("labels.csv row 2", "row_without_image", "no file has the UID of this row"),
        Exclusion("labels.csv row 3", "row_without_image", "no file has the UID of this row"),
    ]


def test_a_row_without_a_uid_is_not_that_of_a_file_without_one(tmp_path):
    write_dicom(tmp_path / "1.dcm", "1.2.3.1.1", StudyInstanceUID=None)
    assert by_table(tmp_path, "StudyInstanceUID,Nodule", ",1") == [
        Exclusion("labels.csv row 2", "row_without_image", "no file has the UID of this row")
    ]


@pytest.mark.parametrize(
    ("elements", "patient", "study"),
    [
        ({"PatientID": "P1", "IssuerOfPatientID": "CLINIC"}, "CLINIC|P1", STUDY),
        ({"PatientID": None}, STUDY, STUDY),
        ({"PatientID": ""}, STUDY, STUDY),
        ({"StudyInstanceUID": None}, "|P1", None),
    ],
)
def test_a_patient_without_an_id_is_the_study(tmp_path, elements, patient, study):
    write_dicom(tmp_path / "1.dcm", "1.2.3.1.1", **elements)
    (row,) = by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.1.1,1")
    assert (row.patient_id, row.study_id) == (patient, study)


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"Modality": "CT"}, "not_radiograph"),
        ({"Modality": "SR"}, "not_radiograph"),
        ({"Modality": None}, "not_radiograph"),
        ({"ViewPosition": "LL"}, "not_frontal"),
        ({"ViewPosition": "RL"}, "not_frontal"),
        ({"ViewPosition": "LATERAL"}, "not_frontal"),
        ({"PatientID": None, "StudyInstanceUID": None}, "unknown_patient"),
    ],
)
def test_what_cannot_be_used_is_given_up(tmp_path, elements, code):
    write_dicom(tmp_path / "1.dcm", "1.2.3.1.1", **elements)
    (row,) = by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.1.1,1")
    assert isinstance(row, Exclusion)
    assert (row.image, row.code) == ("1.dcm", code)


@pytest.mark.parametrize(("view", "position"), [("PA", "PA"), ("AP", "AP"), ("", None), ("CHEST", None), (None, None)])
def test_a_view_that_is_not_named_may_be_frontal(tmp_path, view, position):
    write_dicom(tmp_path / "1.dcm", "1.2.3.1.1", Modality="CR", ViewPosition=view)
    (row,) = by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.1.1,1")
    assert row.view_position == position


def test_a_label_that_is_no_number_of_the_four_is_given_up_and_not_quoted(tmp_path):
    write_dicom(tmp_path / "1.dcm", "1.2.3.1.1")
    assert by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.1.1,Doe^Jane") == [
        Exclusion("1.dcm", "unknown_label", "its Nodule is neither 1, 0, -1 nor blank")
    ]


@pytest.mark.parametrize("data", [b"", b"Weasis viewer", b"\0" * 132])
def test_a_file_that_is_no_dicom_is_given_up(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    excluded, _ = by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.1.1,1")
    assert excluded == Exclusion("file", "unreadable", "its header cannot be read as DICOM")


def test_a_malformed_header_is_read_without_a_word_of_it(tmp_path):
    with warnings.catch_warnings(action="ignore"):
        write_dicom(tmp_path / "1.dcm", "1.2.3.1.1", PatientAge="forty five", PatientID="x" * 99, PatientSex="?")
    (row,) = by_table(tmp_path, "SOPInstanceUID,Nodule", "1.2.3.1.1,1")  # a warning would be an error here
    assert (row.age_years, row.patient_id, row.sex) == (None, "|" + "x" * 99, None)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("SOPInstanceUID,Efusion", "1.2,1"), "expected columns out of SOPInstanceUID, StudyInstanceUID, Normal, "),
        (("SOPInstanceUID,Efusion", "1.2,1"), "but received Efusion"),
        (("PatientID,Nodule", "P1,1"), "expected rows with a column SOPInstanceUID or StudyInstanceUID"),
        (("SOPInstanceUID,Nodule",), "but received no row"),
    ],
)
def test_a_table_of_other_columns_is_refused(tmp_path, lines, said):
    with pytest.raises(TableError, match=said):
        by_table(tmp_path, *lines)


def test_a_real_radiograph(tmp_path, chest_dicom):
    (tmp_path / "RG1").write_bytes(chest_dicom.read_bytes())
    study = "1.3.6.1.4.1.5962.1.2.9.20040826185059.5457"
    assert by_table(tmp_path, "StudyInstanceUID,Normal", f"{study},1") == [
        ImageRow("RG1", "|9RG1", study_id=study, view_position="PA", sex="F", findings={"Normal": 1})
    ]
