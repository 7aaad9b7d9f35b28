"""The gRPC door of the running service."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import pytest

from models.errors import (
    DeadlineError,
    FindingNotFoundError,
    ModelNotFoundError,
    NoChestError,
    OverloadedError,
    SettingsError,
    TooLargeError,
    UnknownFormatError,
)
from models.radiograph import Radiograph
from serving.answering import prediction_response
from serving.app import NAME
from serving.errors import status_of
from serving.rpc import CODES, METADATA, messages, reply_of, stub
from serving.schemas import ModelName
from tests.models.test_errors import example

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def predict(service):
    address = f"127.0.0.1:{service.environment['THORAX_GRPC_PORT']}"
    with grpc.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield partial(stub(channel).Predict, metadata=METADATA)


def test_the_generated_modules_are_those_of_the_protocol(tmp_path):
    # In a process of its own: the compiler aborts beside TensorFlow.
    outputs = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    compiler = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT}", *outputs, "serving/rpc.proto"]
    subprocess.run(compiler, check=True)
    for name in ("rpc_pb2.py", "rpc_pb2_grpc.py"):
        assert (tmp_path / "serving" / name).read_text() == (ROOT / "serving" / name).read_text()


def test_a_message_has_the_thresholds_that_an_answer_has(bundle):
    radiograph = Radiograph(np.zeros((64, 64), np.uint8))
    (prediction,) = bundle.predict([radiograph])
    name = ModelName(name="pneumonia", version="1", digest=bundle.digest)
    answer = prediction_response(bundle, name, prediction, radiograph.tags)
    alone = answer.findings[0].model_copy(update={"operating_probability": 0.25, "absent_below": 0.0})
    first, second, _ = reply_of(answer.model_copy(update={"findings": [alone, *answer.findings[1:]]})).findings
    assert (first.operating_probability, first.HasField("absent_below"), first.absent_below) == (0.25, True, 0.0)
    assert not second.HasField("operating_probability")


@pytest.mark.service
def test_the_answer_is_that_of_http(predict, service, chest_dicom):
    import httpx

    data = chest_dicom.read_bytes()
    reply = predict(messages.PredictionRequest(file=data, explain=True))
    answer = httpx.post(f"{service.address}/v1/predictions?explain=true", content=data, timeout=60).json()
    assert reply.model.digest == answer["model"]["digest"]
    assert [one.finding for one in reply.findings] == [one["finding"] for one in answer["findings"]]
    for name in ("score", "probability", "operating_point", "present", "uncertain", "confounded"):
        over_http = [one[name] for one in answer["findings"]]
        assert [getattr(one, name) for one in reply.findings] == pytest.approx(over_http, abs=1e-6)
    for name in ("operating_probability", "absent_below"):  # classes have none
        assert not any(name in one for one in answer["findings"])
        assert not any(one.HasField(name) for one in reply.findings)
    assert list(reply.decision.reasons) == answer["decision"]["reasons"]
    assert reply.gates.age_group == answer["gates"]["age_group"]
    assert list(reply.provenance.sources) == answer["provenance"]["sources"]
    assert reply.notice == answer["notice"]
    expected = answer["explanation"]["maps"][1]["values"]
    for row, values in zip(reply.explanation.maps[1].values, expected, strict=True):
        assert list(row.values) == pytest.approx(values, abs=1e-5)
    assert not predict(messages.PredictionRequest(file=data)).HasField("explanation")


@pytest.mark.service
def test_a_refusal_has_a_status_a_sentence_and_a_code(predict, chest_dicom):
    for request, status, code in (
        (messages.PredictionRequest(file=b"letter"), grpc.StatusCode.INVALID_ARGUMENT, "unknown_format"),
        (messages.PredictionRequest(), grpc.StatusCode.INVALID_ARGUMENT, "malformed_file"),
        (messages.PredictionRequest(file=b"x" * (17 * 2**20)), grpc.StatusCode.INVALID_ARGUMENT, "too_large"),
        (messages.PredictionRequest(model="none", file=b"x"), grpc.StatusCode.NOT_FOUND, "model_not_found"),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            predict(request)
        assert refused.value.code() is status
        assert refused.value.details().startswith(("Expected ", "The registry holds no "))
        assert dict(refused.value.trailing_metadata())["code"] == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownFormatError, "INVALID_ARGUMENT"),
        (TooLargeError, "INVALID_ARGUMENT"),
        (ModelNotFoundError, "NOT_FOUND"),
        (FindingNotFoundError, "NOT_FOUND"),
        (NoChestError, "FAILED_PRECONDITION"),
        (OverloadedError, "UNAVAILABLE"),
        (DeadlineError, "DEADLINE_EXCEEDED"),
        (SettingsError, "INTERNAL"),
    ],
)
def test_each_error_has_its_status_code(error, code):
    status = status_of(example(error))
    assert CODES.get(status, grpc.StatusCode.INVALID_ARGUMENT).name == code


def test_the_metadata_name_the_application():
    assert dict(METADATA) == {"application": NAME}
