"""A small service that is asked for more than it can give."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import running_service

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def service(production, registry_folder, tmp_path_factory):
    """With room for six requests.

    A batch waits half an hour for its second radiograph, and an answer may take two seconds.
    """
    folder = tmp_path_factory.mktemp("small_service")
    settings = {
        "models": "pneumonia@production",
        "registry_folder": registry_folder,
        "max_waiting_requests": 6,
        "reading_workers": 1,
        "max_batch_size": 2,
        "batch_wait_seconds": 1800,
        "request_timeout_seconds": 2,
    }
    with running_service(folder, **settings) as service:
        yield service


@pytest.fixture(scope="module")
def client(service):
    with httpx.Client(base_url=service.address, timeout=120) as client:
        yield client


def _png(side_px: int) -> bytes:
    file = BytesIO()
    Image.linear_gradient("L").resize((side_px, side_px)).save(file, "PNG")
    return file.getvalue()


def test_an_answer_that_takes_too_long_is_given_up(client):
    # Alone, it waits for a second one to fill its batch.
    response = client.post("/v1/predictions", content=_png(100))
    assert response.status_code == httpx.codes.GATEWAY_TIMEOUT
    assert "retry-after" not in response.headers
    assert response.json() == {
        "type": "about:blank",
        "title": "Gateway Timeout",
        "status": 504,
        "detail": "No answer within 2.0 seconds. Send the request again, or raise THORAX_REQUEST_TIMEOUT_SECONDS.",
        "code": "deadline",
    }


def test_more_requests_than_may_wait_are_turned_away_until_there_is_room(client):
    # One process reads these 36 megapixels after each other: the first six hold all the room meanwhile.
    large = _png(6000)
    with ThreadPoolExecutor(24) as pool:
        responses = list(pool.map(lambda _: client.post("/v1/predictions", content=large), range(24)))
    turned_away = [response for response in responses if response.status_code == httpx.codes.SERVICE_UNAVAILABLE]
    assert turned_away
    for response in turned_away:
        assert response.headers["retry-after"] == "2"
        assert response.json()["code"] == "overloaded"
        assert response.json()["detail"] == "The service is overloaded. Send the request again after 2 seconds."
    assert client.get("/readyz").status_code == httpx.codes.OK


def test_while_it_is_full_haproxy_turns_away_for_it(client, service):
    large = _png(6000)
    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(24) as pool:
        while not _turned_away_by_haproxy(service) and time.monotonic() < deadline:
            list(pool.map(lambda _: client.post("/v1/predictions", content=large), range(24)))
    assert _turned_away_by_haproxy(service)


def _turned_away_by_haproxy(service):
    """Of the answers 5xx to clients those that no server gave."""
    page = httpx.get(f"http://127.0.0.1:{service.environment['RAY_SERVE_HAPROXY_METRICS_PORT']}/metrics").text
    counts = {"haproxy_frontend_http_responses_total": 0.0, "haproxy_server_http_responses_total": 0.0}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in counts and sample.labels["code"] == "5xx":
                counts[sample.name] += sample.value
    to_clients, of_servers = counts.values()
    return to_clients - of_servers


def test_a_client_that_sends_too_slowly_is_given_up(client):
    address = urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"POST /v1/predictions HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n")
        connection.settimeout(0.2)
        said = b""
        deadline = time.monotonic() + 60
        while not said.endswith(b"}") and time.monotonic() < deadline:  # head and body may come one by one
            if not said:
                connection.sendall(b"x")
            try:
                said += connection.recv(65536)
            except TimeoutError:
                continue
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"slow_upload"' in said
