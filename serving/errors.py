"""Platform error -> HTTP status and RFC 9457 problem details; the one table."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from models.errors import (
    BadRequestError,
    BundleError,
    ConfigurationError,
    DataError,
    DeadlineError,
    FindingNotFoundError,
    MalformedFileError,
    ModelNotFoundError,
    NoRoomError,
    NotReadyError,
    OverloadedError,
    RegistryError,
    SlowUploadError,
    StartError,
    ThoraxError,
    TooLargeError,
    TrainingError,
    UnknownFormatError,
    UnreadableFileError,
    UnusableRadiographError,
    WeightsError,
)
from serving.schemas import Problem

RETRY_AFTER_SECONDS = 2
PROBLEM = "application/problem+json"

STATUS: Mapping[type[ThoraxError], HTTPStatus] = MappingProxyType(
    {
        BadRequestError: HTTPStatus.BAD_REQUEST,
        MalformedFileError: HTTPStatus.BAD_REQUEST,
        ModelNotFoundError: HTTPStatus.NOT_FOUND,
        FindingNotFoundError: HTTPStatus.NOT_FOUND,
        SlowUploadError: HTTPStatus.REQUEST_TIMEOUT,
        TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        UnknownFormatError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        UnusableRadiographError: HTTPStatus.UNPROCESSABLE_ENTITY,
        NotReadyError: HTTPStatus.SERVICE_UNAVAILABLE,
        StartError: HTTPStatus.SERVICE_UNAVAILABLE,
        OverloadedError: HTTPStatus.SERVICE_UNAVAILABLE,
        NoRoomError: HTTPStatus.SERVICE_UNAVAILABLE,
        RegistryError: HTTPStatus.SERVICE_UNAVAILABLE,
        BundleError: HTTPStatus.SERVICE_UNAVAILABLE,
        DeadlineError: HTTPStatus.GATEWAY_TIMEOUT,
        ConfigurationError: HTTPStatus.INTERNAL_SERVER_ERROR,
        UnreadableFileError: HTTPStatus.NOT_FOUND,
        DataError: HTTPStatus.INTERNAL_SERVER_ERROR,
        TrainingError: HTTPStatus.INTERNAL_SERVER_ERROR,
        WeightsError: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""The nearest ancestor in the tree of errors counts."""


def status_of(error: ThoraxError) -> HTTPStatus:
    """The HTTP status of an error; 500 where the table has no ancestor of it."""
    for ancestor in type(error).__mro__:
        if ancestor in STATUS:
            return STATUS[ancestor]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem_of(error: ThoraxError) -> Problem:
    """The problem details of an error."""
    return problem(status_of(error), error.code, str(error))


def problem(status: HTTPStatus, code: str, detail: str) -> Problem:
    """Problem details (RFC 9457, paragraph 3.1)."""
    return Problem(title=status.phrase, status=status.value, detail=detail, code=code)
