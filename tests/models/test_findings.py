"""The vocabulary: names and their order as the interfaces promise, codes as DICOM knows them."""

import pytest
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from models.errors import UnknownNameError
from models.findings import FINDINGS, TASKS, TaskKind, check_finding, find_task

# The words of ChestX-ray14 for findings of the chest; DICOM's Effusion is one of a joint, its Edema one of any place.
NARROWER = {"Effusion": "PleuralEffusion", "Edema": "PulmonaryEdema"}


def dicom_keyword(name):
    return NARROWER.get(name, name.title().replace(" ", "").replace("-", ""))


def test_multiclass_pneumonia_has_three_findings_in_their_order():
    task = find_task("pneumonia")
    assert task.kind is TaskKind.MULTICLASS
    assert task.findings == ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")


def test_multilabel_thoracic_has_the_14_of_nih_and_four_more_in_their_order():
    task = find_task("thoracic")
    assert task.kind is TaskKind.MULTILABEL
    assert ", ".join(task.findings) == (
        "Atelectasis, Cardiomegaly, Effusion, Infiltration, Mass, Nodule, Pneumonia, Pneumothorax, Consolidation, "
        "Edema, Emphysema, Fibrosis, Pleural Thickening, Hernia, Lung Opacity, COVID-19, Tuberculosis, Lung Cancer"
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_asks_only_for_known_findings_and_once(task):
    assert len(set(task.findings)) == len(task.findings)
    assert [check_finding(name) for name in task.findings] == list(task.findings)


@pytest.mark.parametrize("table", [FINDINGS, TASKS])
def test_a_table_is_keyed_by_name_and_cannot_be_changed(table):
    assert all(entry.name == name for name, entry in table.items())
    with pytest.raises(TypeError):
        table["another"] = next(iter(table.values()))


def test_a_code_names_one_finding():
    assert len({(finding.code.value, finding.code.scheme_designator) for finding in FINDINGS.values()}) == len(FINDINGS)


@pytest.mark.parametrize("finding", FINDINGS.values(), ids=FINDINGS)
def test_a_code_is_pydicoms_where_it_has_one(finding):
    keyword = dicom_keyword(finding.name)
    if keyword in dir(codes.SCT) and finding.name != "Cardiomegaly":  # see below
        assert finding.code == getattr(codes.SCT, keyword)
    else:
        assert finding.code.scheme_designator in {"SCT", "DCM"}
        assert finding.code.value.isdecimal()


def test_cardiomegaly_is_not_the_code_that_pydicom_gives_two_meanings():
    assert codes.SCT.Cardiomegaly == codes.SCT.EnlargedSeptalForamenOfHeart
    assert FINDINGS["Cardiomegaly"].code == Code("8186001", "SCT", "Cardiomegaly")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Normal", Code("17621005", "SCT", "Normal")),
        ("Pneumonia", Code("233604007", "SCT", "Pneumonia")),
        ("Effusion", Code("60046008", "SCT", "Pleural effusion")),
        ("Pneumothorax", Code("36118008", "SCT", "Pneumothorax")),
        ("Nodule", Code("27925004", "SCT", "Nodule")),
        ("Lung Opacity", Code("112001", "DCM", "Opacity")),
        ("COVID-19", Code("840539006", "SCT", "Disease caused by SARS-CoV-2")),
    ],
)
def test_codes_are_those_of_the_terminologies(name, code):
    assert FINDINGS[name].code == code
    assert FINDINGS[name].code.meaning == code.meaning


@pytest.mark.parametrize("name", ["", "normal", "Broken Rib"])
def test_an_unknown_finding_is_told_with_the_known_ones(name):
    with pytest.raises(UnknownNameError) as caught:
        check_finding(name)
    assert caught.value.values == {"kind": "finding", "name": name, "known": ", ".join(FINDINGS)}


def test_an_unknown_task_is_told_with_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        find_task("brain")
    assert caught.value.values == {"kind": "task", "name": "brain", "known": "pneumonia, thoracic"}
