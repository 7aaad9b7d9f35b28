"""What the page asks of the platform; `serving.client.Client` does it over HTTP."""

from typing import Literal, Protocol

from serving.schemas import ModelDescription, PredictionResponse

UNREACHABLE = "The platform did not answer. Check that it runs, then try again."


class Platform(Protocol):
    """Predictions, models and feedback.

    Any of them may raise `serving.client.AnswerError`, and `httpx.TransportError` where there is no answer.
    """

    def predict(self, data: bytes, model: str | None, explain: bool = False) -> PredictionResponse:
        """The answer about a PNG, JPEG or DICOM file; of the default model where none is named."""
        ...

    def models(self) -> list[ModelDescription]:
        """What answers, the default first."""
        ...

    def feedback(self, prediction_id: str, finding: str, verdict: Literal["present", "absent", "unsure"]) -> None:
        """Keeps a reader's verdict about a finding of an answer."""
        ...
