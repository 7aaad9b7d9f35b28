"""The HTTP front door: FastAPI in front of the dispatcher."""

import asyncio
from http import HTTPStatus
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from ray import serve
from ray.serve.handle import DeploymentHandle

from models.card import NOTICE
from models.errors import BadRequestError, FindingNotFoundError, ThoraxError
from models.findings import FINDINGS
from serving.answering import Answer
from serving.dispatcher import Dispatcher
from serving.errors import PROBLEM
from serving.explaining import explained, heat_map_npy, heat_map_png
from serving.feedback_log import FeedbackLog
from serving.lineup import read_lineup
from serving.predictor import Predictor
from serving.problems import answer_with_problems
from serving.schemas import ModelDescription, PredictionResponse, Problem, Verdict
from serving.settings import Settings
from serving.upload import FIELD, UploadRoom, uploaded_file

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
_MANY = 20_000
"""Requests that a replica may hold: those that upload, too, and the connections of whoever does nothing."""

_BUSY = 8.0
"""Requests at work at once, from which on another replica is started."""

_STATUSES = (400, 404, 408, 413, 415, 422, 503, 504)
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": {PROBLEM: {}}}
    for status in _STATUSES
}

PAGE_ROUTE = "/page"
_DRAWN = {"png": heat_map_png, "npy": heat_map_npy}
_MEDIA_TYPES = {"png": "image/png", "npy": "application/octet-stream"}
_PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {kind: {} for kind in _MEDIA_TYPES.values()}}}
_VERDICT_BYTES = 4096

# FastAPI's own /docs loads its scripts from another host: not from within a hospital.
api = FastAPIOffline(
    redoc_url=None,
    title="Thoracic disease platform",
    version="1",
    description=f"Findings of chest radiographs. {NOTICE}",
    redirect_slashes=False,
)
answer_with_problems(api)


def _check_query(request: Request, known: set[str]) -> None:
    unknown = set(request.query_params) - known
    if unknown:
        raise BadRequestError(
            expected=f"of query parameters only {', '.join(sorted(known))}",
            reason=f"received {', '.join(sorted(unknown))[:200]}",
        )


@serve.ingress(api)
class Api:
    """Takes requests, answers each in this process and answers errors as problem details.

    Args:
        shadow: compares; None where no copies are made.
        follower: keeps the line-up as the registry says; bound here so that Serve keeps it alive.
        settings: of the service.

    Raises:
        SettingsError: there is no line-up.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, shadow: DeploymentHandle | None, follower: DeploymentHandle, settings: Settings
    ) -> None:
        self._follower = follower
        self._feedback = FeedbackLog(settings.registry_folder)
        self._settings = settings
        self._room = UploadRoom(settings.max_held_bytes)
        self._predictor = Predictor(settings)
        await self._predictor.begin([standing.name for standing in read_lineup(settings).models])
        self._dispatcher = Dispatcher(self._predictor, shadow, settings)

    @api.post("/v1/predictions", openapi_extra=_UPLOAD, responses=_PROBLEMS, response_model=PredictionResponse)
    async def predict(self, request: Request, model: str | None = None, explain: bool = False) -> Response:
        """Findings of one PNG, JPEG or DICOM radiograph, recognised by its content; with `explain` their heat maps."""
        _check_query(request, {"model", "explain"})
        answer = await self._answer(request, model, explain)
        # Made here: FastAPI would look through what has just been made once more.
        sent = self._sent(answer, explain).model_dump_json(exclude_none=True)
        return Response(sent, media_type="application/json")

    @api.post("/v1/explanations", openapi_extra=_UPLOAD, responses=_PROBLEMS | _PICTURE, response_class=Response)
    async def explain(
        self,
        request: Request,
        finding: str,
        model: str | None = None,
        format: Literal["png", "npy"] = "png",  # noqa: A002
    ) -> Response:
        """The heat map of a finding: laid over the radiograph (PNG), or by itself (NumPy's format, float32)."""
        _check_query(request, {"model", "finding", "format"})
        answer = await self._answer(request, model, with_film=True)
        return Response(await self._predictor.draw(answer, finding, _DRAWN[format]), media_type=_MEDIA_TYPES[format])

    async def _answer(self, request: Request, model: str | None, with_film: bool) -> Answer:
        self._dispatcher.standing(model or None)
        self._predictor.check_room()
        settings = self._settings
        with self._room.share() as take:
            data = await uploaded_file(request, settings.max_upload_bytes, settings.request_timeout_seconds, take)
            return await self._dispatcher.predict(model or None, data, "http", with_film)

    @api.post("/v1/feedback", status_code=HTTPStatus.CREATED, responses=_PROBLEMS, max_body_size=_VERDICT_BYTES)
    async def feedback(self, verdict: Verdict) -> Verdict:
        """A reader's verdict on a finding that was answered."""
        if verdict.finding not in FINDINGS:
            raise FindingNotFoundError(of="the vocabulary", received=verdict.finding[:100], known=", ".join(FINDINGS))
        await asyncio.to_thread(self._feedback.add, verdict)
        return verdict

    async def Predict(self, request: Any, grpc_context: Any) -> Any:  # noqa: N802  # named as in rpc.proto
        """Findings of one radiograph, over gRPC; the messages are those of `serving.rpc`."""
        from serving.rpc import refuse, reply_of

        try:
            answer = await self._dispatcher.predict(request.model or None, request.file, "grpc", request.explain)
        except ThoraxError as error:
            return refuse(grpc_context, error)
        return reply_of(self._sent(answer, request.explain))

    def _sent(self, answer: Answer, explain: bool) -> PredictionResponse:
        if not explain:
            return answer.response
        return answer.response.model_copy(update={"explanation": explained(answer)})

    @api.get("/v1/models")
    async def models(self) -> list[ModelDescription]:
        """What answers, the default first, canaries last."""
        return self._dispatcher.descriptions()

    @api.get("/", include_in_schema=False)
    async def page(self) -> RedirectResponse:
        """A browser gets the web page."""
        return RedirectResponse(f"{PAGE_ROUTE}/" if self._settings.page else "/docs")

    @api.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        """Answers as long as the process lives."""
        return {"status": "alive"}

    @api.get("/readyz", responses={503: _PROBLEMS[503]})
    async def readyz(self) -> dict[str, str]:
        """Answers 200 once the models can."""
        self._dispatcher.check_ready()
        return {"status": "ready"}


def front_door(settings: Settings) -> Any:
    """The deployment of `Api`.

    Ray lets 5 requests at a time into a replica unless told otherwise; here the predictor says how many it takes, and
    whoever is turned away or uploads needs room besides.
    """
    threads, fewest, most = settings.engine_threads, settings.min_replicas, settings.max_replicas
    scaling = {"min_replicas": fewest, "max_replicas": most, "target_ongoing_requests": _BUSY} if most > 1 else None
    return serve.deployment(
        Api,
        name="api",
        max_ongoing_requests=_MANY,
        autoscaling_config=scaling,
        ray_actor_options={"num_cpus": threads or 0.1},
        # Replicas whose engines take all processors would fight on one machine.
        max_replicas_per_node=None if threads else 1,
    )
