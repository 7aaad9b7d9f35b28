"""The gRPC door: messages of `rpc.proto`, and errors as its status codes."""

from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from models.errors import ThoraxError
from serving import rpc_pb2 as messages
from serving import rpc_pb2_grpc as services
from serving.errors import problem_of
from serving.schemas import PredictionResponse

METADATA = (("application", "thorax"),)
"""Of every call: Serve asks which application is meant, as the page is another."""

CODES = {
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""What an HTTP status is over gRPC; INVALID_ARGUMENT where it is not here."""


def stub(channel: grpc.Channel) -> Any:
    """What a client calls `Predict` of, on its channel to the service."""
    return services.ThoraxStub(channel)


def reply_of(response: PredictionResponse) -> Any:
    """The message of an answer."""
    members = response.model_dump(mode="json", exclude_none=True)
    for one in members.get("explanation", {}).get("maps", []):
        one["values"] = [{"values": row} for row in one["values"]]
    return ParseDict(members, messages.PredictionReply())


def refuse(context: Any, error: ThoraxError) -> Any:
    """An empty message, and the error's code and sentence in the call's context."""
    problem = problem_of(error)
    context.set_code(CODES.get(HTTPStatus(problem.status), grpc.StatusCode.INVALID_ARGUMENT))
    context.set_details(problem.detail)
    context.set_trailing_metadata([("code", problem.code)])
    return messages.PredictionReply()
