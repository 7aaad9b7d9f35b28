"""The label vocabulary, the only one: findings with their codes, and the tasks that answer about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from models.errors import UnknownNameError


@dataclass(frozen=True, slots=True)
class Finding:
    """What a reader may see on a radiograph.

    Attributes:
        name: the name in catalogs, bundles, answers and metrics.
        code: the concept a DICOM structured report names it by.
    """

    name: str
    code: Code


def _sct(value: str, meaning: str) -> Code:
    """A concept of SNOMED CT International that pydicom's dictionary of DICOM context groups lacks."""
    return Code(value, "SCT", meaning)


_FINDINGS = (
    Finding("Normal", codes.SCT.Normal),
    Finding("Bacterial Pneumonia", _sct("53084003", "Bacterial pneumonia")),
    Finding("Viral Pneumonia", _sct("75570004", "Viral pneumonia")),
    Finding("Atelectasis", _sct("46621007", "Atelectasis")),
    # pydicom gives 287272002 (CID 12248), and the same code for an enlarged septal foramen of the heart.
    Finding("Cardiomegaly", _sct("8186001", "Cardiomegaly")),
    Finding("Effusion", codes.SCT.PleuralEffusion),
    Finding("Infiltration", _sct("409609008", "Radiologic infiltrate of lung")),
    Finding("Mass", codes.SCT.Mass),
    Finding("Nodule", codes.SCT.Nodule),
    Finding("Pneumonia", _sct("233604007", "Pneumonia")),
    Finding("Pneumothorax", codes.SCT.Pneumothorax),
    Finding("Consolidation", _sct("95436008", "Lung consolidation")),
    Finding("Edema", codes.SCT.PulmonaryEdema),
    Finding("Emphysema", _sct("87433001", "Pulmonary emphysema")),
    Finding("Fibrosis", codes.SCT.Fibrosis),
    # The parent concept: a narrower one for thickening could not be verified without a terminology server.
    Finding("Pleural Thickening", _sct("301256004", "Pleura finding")),
    # ChestX-ray14 does not say which hernia; the hiatal one is a kind of this.
    Finding("Hernia", _sct("39839004", "Diaphragmatic hernia")),
    # The DICOM concept of CID 6104: opacities of any cause, as RSNA and CheXpert mean it.
    Finding("Lung Opacity", codes.DCM.Opacity),
    Finding("COVID-19", _sct("840539006", "Disease caused by SARS-CoV-2")),
    Finding("Tuberculosis", _sct("154283005", "Pulmonary tuberculosis")),
    Finding("Lung Cancer", codes.SCT.LungCancer),
)
FINDINGS: Mapping[str, Finding] = MappingProxyType({finding.name: finding for finding in _FINDINGS})


class TaskKind(StrEnum):
    """How the findings of a task relate: one of them holds, or each may hold by itself."""

    MULTICLASS = "multiclass"
    MULTILABEL = "multilabel"


@dataclass(frozen=True, slots=True)
class Task:
    """A question about a radiograph.

    Attributes:
        name: the name in `params.yaml`, the registry and URLs.
        kind: multiclass scores sum to one; multilabel scores are independent.
        findings: names in the order of every score and label column.
    """

    name: str
    kind: TaskKind
    findings: tuple[str, ...]


class Head(BaseModel):
    """A part of a task that is answered by itself; several heads stand on one backbone.

    Attributes:
        name: of the head.
        kind: as for a task.
        findings: names in the order of the head's scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: TaskKind
    findings: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _knows_its_findings(self) -> Self:
        unknown = [name for name in self.findings if name not in FINDINGS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a finding; known are {', '.join(FINDINGS)}")
        if len(set(self.findings)) < len(self.findings):
            raise ValueError(f"expected each finding once, but received {', '.join(self.findings)}")
        return self


def columns_of_heads(heads: Sequence[Head]) -> tuple[tuple[Head, slice], ...]:
    """Each head with its columns among those of all heads, which stand in order."""
    ends = list(accumulate(len(head.findings) for head in heads))
    return tuple((head, slice(end - len(head.findings), end)) for head, end in zip(heads, ends, strict=True))


_TASKS = (
    Task("pneumonia", TaskKind.MULTICLASS, ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")),
    Task(
        "thoracic",
        TaskKind.MULTILABEL,
        (
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
            "Lung Opacity",
            "COVID-19",
            "Tuberculosis",
            "Lung Cancer",
        ),
    ),
)
TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _TASKS})


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        UnknownNameError: no task has that name.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise UnknownNameError(kind="task", name=name, known=", ".join(TASKS)) from None


def check_finding(name: str) -> str:
    """The name itself, if it is a finding.

    Raises:
        UnknownNameError: no finding has that name.
    """
    if name not in FINDINGS:
        raise UnknownNameError(kind="finding", name=name, known=", ".join(FINDINGS))
    return name
