"""What is answered over HTTP and by `thorax predict --json`."""

from collections.abc import Sequence
from typing import Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from models.bundle import Bundle, Prediction
from models.card import DRAWN_NOTICE, NOTICE
from models.radiograph import RadiographTags

AgeGroup = Literal["child", "adult", "unknown"]
_ADULT_YEARS = 18


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelName(_Answer):
    """Which model answered."""

    name: str
    version: str
    digest: str


class FindingAnswer(_Answer):
    """One finding: raw score, calibrated probability, and whether the score reaches the operating point."""

    finding: str
    score: float
    probability: float
    operating_point: float
    present: bool


class Decision(_Answer):
    """Whether the model holds back, and why."""

    abstain: bool
    reasons: list[str]


class Gates(_Answer):
    """Checks of the input; null where this release has no such check."""

    chest_radiograph: float | None = None
    in_distribution: float | None = None
    age_group: AgeGroup


class Provenance(_Answer):
    """Where the answer comes from."""

    commit: str
    data: str
    engine: str
    preprocessing: str
    sources: list[str]


class PredictionResponse(_Answer):
    """The answer about one radiograph."""

    id: str
    model: ModelName
    findings: list[FindingAnswer]
    decision: Decision
    gates: Gates
    provenance: Provenance
    notice: str


class ModelDescription(_Answer):
    """A model that serves."""

    name: str
    version: str
    aliases: list[str]
    digest: str
    findings: list[str]
    metrics: dict[str, float]
    card: str


class Problem(_Answer):
    """Problem details of RFC 9457, with the platform's own code."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


def prediction_response(
    bundle: Bundle, model: ModelName, prediction: Prediction, tags: RadiographTags
) -> PredictionResponse:
    """The answer of a bundle, served as `model`, about a radiograph with these tags."""
    manifest, training = bundle.manifest, bundle.manifest.training
    return PredictionResponse(
        id=str(uuid4()),
        model=model,
        findings=_findings(manifest.findings, manifest.operating_points, prediction),
        decision=Decision(abstain=training.drawn, reasons=[DRAWN_NOTICE] if training.drawn else []),
        gates=Gates(age_group=_age_group(tags.age_years)),
        provenance=Provenance(
            commit=training.commit,
            data=training.data,
            engine=bundle.engine_name,
            preprocessing=manifest.preprocessing.digest(),
            sources=list(training.sources),
        ),
        notice=f"{NOTICE} {DRAWN_NOTICE}" if training.drawn else NOTICE,
    )


def _findings(names: Sequence[str], operating_points: Sequence[float], prediction: Prediction) -> list[FindingAnswer]:
    rows = zip(names, prediction.scores, prediction.probabilities, operating_points, prediction.present, strict=True)
    return [
        FindingAnswer(
            finding=name,
            score=float(score),
            probability=float(probability),
            operating_point=point,
            present=bool(present),
        )
        for name, score, probability, point, present in rows
    ]


def _age_group(age_years: float | None) -> AgeGroup:
    if age_years is None:
        return "unknown"
    return "child" if age_years < _ADULT_YEARS else "adult"
