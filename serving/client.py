"""Asking a service that runs, from Python; what is only busy is asked again.

with Client("http://127.0.0.1:8000") as thorax:
    answer = thorax.predict(Path("chest.dcm").read_bytes(), model="thoracic")
    picture = thorax.explanation(Path("chest.dcm").read_bytes(), "Effusion")
"""

from io import BytesIO
from types import TracebackType
from typing import Any, Literal, Self
from uuid import UUID

import httpx
import numpy as np
import stamina
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from serving.schemas import ModelDescription, PredictionResponse, Problem, Verdict

_BUSY = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
_MODELS = TypeAdapter(list[ModelDescription])


class AnswerError(Exception):
    """The service refused, or had no answer.

    Attributes:
        problem: what it said.
        retry_after_seconds: when it may be asked again; None where it did not say.
    """

    def __init__(self, problem: Problem, retry_after_seconds: float | None = None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds


class Client:
    """A connection to the service; safe from several threads.

    Args:
        address: of the service.
        attempts: how often it is asked while it is busy or cannot be reached; the waits grow up to 5 seconds, or
            are as long as the service says.
        timeout_seconds: of one attempt.
        headers: sent with every request.
    """

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        attempts: int = 5,
        timeout_seconds: float = 60.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._http = httpx.Client(base_url=address, timeout=timeout_seconds, headers=headers)
        self._attempts = attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connection up."""
        self._http.close()

    def predict(self, data: bytes, model: str | None = None, explain: bool = False) -> PredictionResponse:
        """Findings of a radiograph.

        Args:
            data: a whole PNG, JPEG or DICOM file.
            model: its name; None for the default.
            explain: whether each finding's heat map is wanted, too.

        Raises:
            AnswerError: the file was refused, or there was no answer after all attempts.
            httpx.TransportError: the service could not be reached.
        """
        params = {"explain": explain} | ({"model": model} if model else {})
        return PredictionResponse.model_validate_json(self._post("/v1/predictions", data, params).content)

    def explanation(self, data: bytes, finding: str, model: str | None = None) -> bytes:
        """The radiograph under the heat map of a finding, a PNG file; raises as `predict` does."""
        return self._explain(data, finding, model, "png")

    def heat_map(self, data: bytes, finding: str, model: str | None = None) -> NDArray[np.float32]:
        """(rows, columns) of the radiograph, float32 in [0, 1]: a finding's heat map; raises as `predict` does."""
        heat: NDArray[np.float32] = np.load(BytesIO(self._explain(data, finding, model, "npy")), allow_pickle=False)
        return heat

    def _explain(self, data: bytes, finding: str, model: str | None, kind: str) -> bytes:
        params = {"finding": finding, "format": kind} | ({"model": model} if model else {})
        return self._post("/v1/explanations", data, params).content

    def models(self) -> list[ModelDescription]:
        """What serves, the default first; raises as `predict` does."""
        return _MODELS.validate_json(self._ask("GET", "/v1/models").content)

    def feedback(
        self, prediction_id: str | UUID, finding: str, verdict: Literal["present", "absent", "unsure"]
    ) -> None:
        """A reader's verdict on a finding of an answer; raises as `predict` does."""
        said = Verdict(prediction_id=UUID(str(prediction_id)), finding=finding, verdict=verdict)
        self._ask("POST", "/v1/feedback", content=said.model_dump_json(), headers={"Content-Type": "application/json"})

    def _post(self, route: str, data: bytes, params: dict[str, Any]) -> httpx.Response:
        return self._ask(
            "POST", route, content=data, params=params, headers={"Content-Type": "application/octet-stream"}
        )

    def _ask(self, method: str, route: str, **sent: Any) -> httpx.Response:
        for attempt in stamina.retry_context(on=_pause, attempts=self._attempts, timeout=None):
            with attempt:
                return _checked(self._http.request(method, route, **sent))
        raise AssertionError("unreachable: the last attempt returns or raises")


def _pause(error: Exception) -> bool | float:
    """Whether to ask again after an error, or after how many seconds."""
    if isinstance(error, AnswerError):
        return error.problem.status in _BUSY and (error.retry_after_seconds or True)
    return isinstance(error, httpx.TransportError)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:  # of a proxy in between
        phrase = response.reason_phrase
        problem = Problem(title=phrase, status=response.status_code, detail=f"The service said {phrase}.", code="proxy")
    wait = response.headers.get("retry-after", "")
    raise AnswerError(problem, float(wait) if wait.isdecimal() else None)
