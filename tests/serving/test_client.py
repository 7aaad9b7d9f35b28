"""The Python client, against real servers: the service, and one that is busy at first."""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pytest

from serving.client import AnswerError, Client


@pytest.fixture
def busy():
    """A server that answers as it is told, one status after the other, and the last one for ever."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = replies[min(len(asked), len(replies) - 1)]
            asked.append(self.path)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    replies = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", replies, asked
        server.shutdown()
        thread.join()


OVERLOADED = b'{"title": "Service Unavailable", "status": 503, "detail": "Busy.", "code": "overloaded"}'


def test_a_busy_service_is_asked_again(busy):
    address, replies, asked = busy
    replies += [(503, {"Retry-After": "0"}, OVERLOADED), (429, {}, b""), (200, {}, b"[]")]
    with Client(address) as client:
        assert client.models() == []
    assert len(asked) == 3


def test_a_service_that_stays_busy_is_given_up(busy):
    address, replies, asked = busy
    replies += [(503, {}, OVERLOADED)]
    with Client(address, attempts=2) as client, pytest.raises(AnswerError, match=r"Busy\.") as given_up:
        client.models()
    assert len(asked) == 2
    assert given_up.value.problem.code == "overloaded"


def test_the_pause_is_as_long_as_the_service_says(busy):
    address, replies, asked = busy
    replies += [(503, {"Retry-After": "3600"}, OVERLOADED)]
    with Client(address, attempts=2) as client:
        thread = threading.Thread(target=client.models, daemon=True)
        thread.start()
        thread.join(2)
        assert thread.is_alive()
    assert len(asked) == 1


def test_what_was_refused_is_not_asked_again(busy):
    address, replies, asked = busy
    replies += [(404, {}, b"not from the service")]
    with Client(address) as client, pytest.raises(AnswerError) as refused:
        client.models()
    assert refused.value.problem.status == HTTPStatus.NOT_FOUND
    assert len(asked) == 1


def test_a_service_that_is_not_there_is_said_so():
    with Client("http://127.0.0.1:9", attempts=2) as client, pytest.raises(httpx.ConnectError):
        client.models()


@pytest.fixture
def client(service):
    with Client(service.address) as client:
        yield client


@pytest.mark.service
def test_answers_are_those_of_the_interface(client, chest_dicom):
    data = chest_dicom.read_bytes()
    answer = client.predict(data, model="pneumonia", explain=True)
    assert [one.finding for one in answer.findings] == ["Normal", "Bacterial Pneumonia", "Viral Pneumonia"]
    assert answer.explanation is not None
    assert (answer.explanation.rows, answer.explanation.columns) == (1955, 1841)
    assert client.predict(data, model="pneumonia").explanation is None
    assert client.models()[0].name == "pneumonia"
    client.feedback(answer.id, "Normal", "absent")


@pytest.mark.service
def test_heat_maps_come_as_pictures_and_as_arrays(client, chest_dicom):
    data = chest_dicom.read_bytes()
    assert client.explanation(data, "Normal", model="pneumonia").startswith(b"\x89PNG")
    heat = client.heat_map(data, "Normal", model="pneumonia")
    assert heat.shape == (1955, 1841)
    assert heat.dtype == np.float32
    assert 0 <= heat.min() <= heat.max() <= 1


@pytest.mark.service
def test_a_refusal_names_what_is_wrong(client):
    with pytest.raises(AnswerError, match="Expected a PNG, JPEG or DICOM file") as refused:
        client.predict(b"no radiograph")
    assert (refused.value.problem.status, refused.value.problem.code) == (415, "unknown_format")
