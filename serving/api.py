"""The HTTP front door: FastAPI in front of the predictors."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi_offline import FastAPIOffline
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from models.card import NOTICE
from models.errors import (
    BadRequestError,
    DeadlineError,
    ModelNotFoundError,
    NotReadyError,
    OverloadedError,
    ThoraxError,
)
from serving.lineup import read_lineup
from serving.problems import PROBLEM, RETRY_AFTER_SECONDS, answer_with_problems
from serving.schemas import ModelDescription, PredictionResponse, Problem
from serving.settings import Settings
from serving.upload import FIELD, uploaded_file

_QUERY = {"model"}
_BINARY = {"type": "string", "format": "binary"}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {FIELD: _BINARY}, "required": [FIELD]},
            },
            **{kind: {"schema": _BINARY} for kind in ("application/dicom", "image/png", "image/jpeg")},
        },
    }
}
_STATUSES = (400, 404, 413, 415, 422, 503, 504)
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": {PROBLEM: {}}}
    for status in _STATUSES
}

# FastAPI's own /docs loads its scripts from another host: not from within a hospital.
api = FastAPIOffline(
    redoc_url=None,
    title="Thoracic disease platform",
    version="1",
    description=f"Findings of chest radiographs. {NOTICE}",
    redirect_slashes=False,
)
answer_with_problems(api)


async def _result(response: Any) -> Any:
    return await response


@serve.deployment(name="api", max_ongoing_requests=512, ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Api:
    """Takes requests, hands each file to the predictor of its model and answers errors as problem details.

    Args:
        predictors: by the name of their model; the first answers where a request names none.
        follower: keeps the line-up as the registry says; bound here so that Serve keeps it alive.
        settings: of the service.
    """

    def __init__(self, predictors: dict[str, DeploymentHandle], follower: DeploymentHandle, settings: Settings) -> None:
        self._predictors = predictors
        self._follower = follower
        self._settings = settings

    @api.post("/v1/predictions", openapi_extra=_UPLOAD, responses=_PROBLEMS)
    async def predict(self, request: Request, model: str | None = None) -> PredictionResponse:
        """Findings of one PNG, JPEG or DICOM radiograph, recognised by its content."""
        unknown = set(request.query_params) - _QUERY
        if unknown:
            raise BadRequestError(
                expected=f"of query parameters only {', '.join(sorted(_QUERY))}",
                reason=f"received {', '.join(sorted(unknown))[:200]}",
            )
        name = model or next(iter(self._predictors))
        if name not in self._predictors:
            raise ModelNotFoundError(wanted=f"serving model {name[:100]!r}", known=", ".join(self._predictors))
        data = await uploaded_file(request, self._settings.max_upload_bytes)
        return await self._ask(name, data)

    async def _ask(self, name: str, data: bytes) -> PredictionResponse:
        seconds = self._settings.request_timeout_seconds
        response = self._predictors[name].predict.remote(data, "http")
        try:
            answer: PredictionResponse | ThoraxError = await asyncio.wait_for(_result(response), seconds)
        except TimeoutError:
            response.cancel()
            raise DeadlineError(seconds=seconds) from None
        except BackPressureError:
            raise OverloadedError(retry_after_seconds=RETRY_AFTER_SECONDS) from None
        except (RayError, RayServeException) as error:  # the replica died or has never started
            raise NotReadyError(model=name, retry_after_seconds=RETRY_AFTER_SECONDS) from error
        if isinstance(answer, ThoraxError):
            raise answer
        return answer

    @api.get("/v1/models")
    async def models(self) -> list[ModelDescription]:
        """The models that serve, the default first."""
        return [standing.description for standing in read_lineup(self._settings).models]

    @api.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        """Answers as long as the process lives."""
        return {"status": "alive"}

    @api.get("/readyz", responses={503: _PROBLEMS[503]})
    async def readyz(self) -> dict[str, str]:
        """Answers 200 once every model can."""
        for name, predictor in self._predictors.items():
            try:
                await asyncio.wait_for(_result(predictor.ready.remote()), RETRY_AFTER_SECONDS)
            except (TimeoutError, RayError, RayServeException) as error:
                raise NotReadyError(model=name, retry_after_seconds=RETRY_AFTER_SECONDS) from error
        return {"status": "ready"}
