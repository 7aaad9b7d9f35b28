"""The HTTP front door: FastAPI in front of the dispatcher."""

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi_offline import FastAPIOffline
from ray import serve
from ray.serve.handle import DeploymentHandle

from models.card import NOTICE
from models.errors import BadRequestError
from serving.dispatcher import Dispatcher
from serving.problems import PROBLEM, answer_with_problems
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


@serve.deployment(name="api", max_ongoing_requests=512, ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Api:
    """Takes requests, hands each file on and answers errors as problem details.

    Args:
        predictor: answers.
        shadow: compares; None where no copies are made.
        follower: keeps the line-up as the registry says; bound here so that Serve keeps it alive.
        settings: of the service.
    """

    def __init__(
        self,
        predictor: DeploymentHandle,
        shadow: DeploymentHandle | None,
        follower: DeploymentHandle,
        settings: Settings,
    ) -> None:
        self._dispatcher = Dispatcher(predictor, shadow, settings)
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
        data = await uploaded_file(request, self._settings.max_upload_bytes)
        return await self._dispatcher.predict(model or None, data, "http")

    @api.get("/v1/models")
    async def models(self) -> list[ModelDescription]:
        """What answers, the default first, canaries last."""
        return self._dispatcher.descriptions()

    @api.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        """Answers as long as the process lives."""
        return {"status": "alive"}

    @api.get("/readyz", responses={503: _PROBLEMS[503]})
    async def readyz(self) -> dict[str, str]:
        """Answers 200 once the models can."""
        await self._dispatcher.ready()
        return {"status": "ready"}
