"""Errors as problem details (RFC 9457), whatever raised them."""

import traceback
from functools import cache
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from models.errors import BadRequestError, OverloadedError, ThoraxError
from monitoring.backends import RayRecorder
from monitoring.metrics import REJECTIONS
from serving.errors import PROBLEM, RETRY_AFTER_SECONDS, problem, problem_of
from serving.logs import logger
from serving.schemas import Problem
from serving.shedding import FULL_HEADER


def answer_with_problems(api: FastAPI) -> None:
    """Gives the application a handler for every kind of error; each refusal is counted by its code."""
    api.exception_handler(ThoraxError)(_platform_error)
    api.exception_handler(RequestValidationError)(_invalid_request)
    api.exception_handler(HTTPException)(_http_error)
    api.exception_handler(Exception)(_internal_error)


@cache
def _recorder() -> RayRecorder:
    return RayRecorder((REJECTIONS,))


def _answer(answered: Problem) -> JSONResponse:
    _recorder().add(REJECTIONS, code=answered.code)
    logger().info("refused", code=answered.code, status=answered.status)
    wait = answered.status == HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse(
        answered.model_dump(),
        status_code=answered.status,
        media_type=PROBLEM,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)} if wait else None,
    )


async def _platform_error(_request: Request, error: ThoraxError) -> JSONResponse:
    answered = _answer(problem_of(error))
    if isinstance(error, OverloadedError):
        answered.headers[FULL_HEADER] = "1"
    return answered


async def _invalid_request(_request: Request, error: RequestValidationError) -> JSONResponse:
    places = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
    return _answer(problem_of(BadRequestError(expected="a valid request", reason=places)))


async def _http_error(_request: Request, error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    answered = _answer(problem(status, status.name.lower(), "The routes are described at /docs."))
    answered.headers.update(error.headers or {})
    return answered


async def _internal_error(_request: Request, error: Exception) -> JSONResponse:
    # The exception's words may hold what was sent: only its kind and place are logged.
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    logger().error("failed", error=type(error).__name__, places=places)
    return _answer(problem(status, "internal", "The service failed. Its log says why."))
