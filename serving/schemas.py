"""What is answered over HTTP and by `thorax predict --json`."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from models.gates import AgeGroup


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelName(_Answer):
    """Which model answered."""

    name: str
    version: str
    digest: str

    @property
    def reference(self) -> str:
        """What a replica knows it by, whatever its version is called here: name@digest."""
        return f"{self.name}@{self.digest}"


class FindingAnswer(_Answer):
    """One finding.

    Attributes:
        finding: its name.
        score: in [0, 1], as the network gives it.
        probability: in [0, 1], calibrated.
        operating_point: the score from which on the finding is called present.
        operating_probability: the probability at that score; none for one of several classes, which hang together.
        absent_below: the score below which it is absent at the model's stated risk; 0 where it never is, none as above.
        present: whether the score reaches the operating point.
        uncertain: whether the finding can be called neither present nor absent at the model's stated risk.
        confounded: whether how or where an image was made tells nearly as much about the finding as the model does.
    """

    finding: str
    score: float
    probability: float
    operating_point: float
    operating_probability: float | None = None
    absent_below: float | None = None
    present: bool
    uncertain: bool
    confounded: bool


class Decision(_Answer):
    """Whether the model holds back; why, and what else to mind, in sentences."""

    abstain: bool
    reasons: list[str]


class Gates(_Answer):
    """Checks of the input; both numbers, in [0, 1], are those of `models.gates.GateValues`."""

    chest_radiograph: float
    in_distribution: float
    age_group: Literal["child", "adult", "unknown"]


class Provenance(_Answer):
    """Where the answer comes from."""

    commit: str
    data: str
    engine: str
    preprocessing: str
    sources: list[str]


class Region(_Answer):
    """What a model saw of a radiograph: edges, px, the first row and column being 0; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


class HeatMap(_Answer):
    """Where a model saw a finding.

    Attributes:
        finding: its name.
        values: rows of a grid over the region, from top to bottom, not negative: Grad-CAM, in units of the logit.
    """

    finding: str
    values: list[list[float]]


class Explanation(_Answer):
    """Where in a radiograph a model saw what.

    Attributes:
        rows, columns: of the radiograph.
        region: of the radiograph, over which each grid is spread.
        maps: of each finding of the answer.
    """

    rows: int
    columns: int
    region: Region
    maps: list[HeatMap]


class PredictionResponse(_Answer):
    """The answer about one radiograph.

    Attributes:
        explanation: where it was asked for.
    """

    id: str
    model: ModelName
    findings: list[FindingAnswer]
    decision: Decision
    gates: Gates
    provenance: Provenance
    notice: str
    explanation: Explanation | None = None


class ModelDescription(_Answer):
    """A model that serves: what it answers, for whom, and how well."""

    name: str
    version: str
    aliases: list[str]
    digest: str
    findings: list[str]
    age_group: AgeGroup
    confounded: list[str]
    metrics: dict[str, float]
    card: str


class Verdict(BaseModel):
    """What a reader says about a finding of an answer.

    Attributes:
        prediction_id: the answer's id.
        finding: its name.
        verdict: the reader's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction_id: UUID
    finding: str
    verdict: Literal["present", "absent", "unsure"]


class Problem(_Answer):
    """Problem details of RFC 9457, with the platform's own code."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
