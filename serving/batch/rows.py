"""What is written about a file; one flat row, the same columns in every part.

| column | type | holds |
|---|---|---|
| file | string | path below INPUT, with forward slashes |
| code | string | null where answered, else the code of the problem, as over HTTP |
| detail | string | null where answered, else what was expected, what was received and what to do |
| id | string | of the answer |
| model, version, digest | string | which bundle was asked |
| chest_radiograph, in_distribution | double | the gates, in [0, 1] |
| age_group | string | child, adult or unknown |
| abstain | bool | whether the model holds back |
| reasons | list of string | why, and what else to mind |
| <Finding> score | double | in [0, 1], as the network gives it |
| <Finding> probability | double | in [0, 1], calibrated |
| <Finding> present | bool | whether the score reaches the operating point |
| <Finding> uncertain | bool | whether it can be called neither present nor absent at the model's stated risk |

From `id` on, but for the bundle, a row of a file that failed holds nulls; so do the findings of an answer that gives
none. Of a patient a row holds nothing but what the path says.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from models.errors import ThoraxError
from serving.errors import problem_of
from serving.schemas import ModelName, PredictionResponse

_OF_A_FINDING = {"score": pa.float64(), "probability": pa.float64(), "present": pa.bool_(), "uncertain": pa.bool_()}


def schema(findings: Sequence[str]) -> pa.Schema:
    """The columns of a model with these findings."""
    strings = ("file", "code", "detail", "id", "model", "version", "digest")
    return pa.schema(
        [
            *((name, pa.string()) for name in strings),
            ("chest_radiograph", pa.float64()),
            ("in_distribution", pa.float64()),
            ("age_group", pa.string()),
            ("abstain", pa.bool_()),
            ("reasons", pa.list_(pa.string())),
            *((f"{finding} {what}", kind) for finding in findings for what, kind in _OF_A_FINDING.items()),
        ]
    )


def answered(file: str, answer: PredictionResponse) -> dict[str, Any]:
    """The row of a file that was answered."""
    findings = {
        f"{one.finding} {what}": value
        for one in answer.findings
        for what, value in one.model_dump(include=set(_OF_A_FINDING)).items()
    }
    return {
        "file": file,
        "id": answer.id,
        **_bundle(answer.model),
        **answer.gates.model_dump(),
        **answer.decision.model_dump(),
        **findings,
    }


def failed(file: str, model: ModelName, error: ThoraxError) -> dict[str, Any]:
    """The row of a file that failed."""
    problem = problem_of(error)
    return {"file": file, "code": problem.code, "detail": problem.detail, **_bundle(model)}


def _bundle(model: ModelName) -> dict[str, str]:
    return {"model": model.name, "version": model.version, "digest": model.digest}
