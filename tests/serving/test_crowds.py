"""Clients that are many, slow, or gone before they have said what they want."""

import resource
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

pytestmark = pytest.mark.service
CROWD = 10_000


@pytest.fixture(scope="module")
def door(service):
    address = urlsplit(service.address)
    return address.hostname, address.port


def _answered(service, data):
    # Where fewer files may be open than this many connections need, those that say nothing are let go after a minute.
    return httpx.post(f"{service.address}/v1/predictions", content=data, timeout=300).raise_for_status().json()


def test_ten_thousand_connections_do_not_keep_others_from_an_answer(service, door, chest_dicom):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as crowd:
        for number in range(CROWD):
            connection = crowd.enter_context(socket.create_connection(door, timeout=60))
            if number % 10 == 0:  # some have begun to say something
                connection.sendall(b"POST /v1/predictions HTTP/1.1\r\nHost: here\r\n")
        assert _answered(service, chest_dicom.read_bytes())["findings"]
    assert _answered(service, chest_dicom.read_bytes())["findings"]


def test_half_an_upload_leaves_nothing_behind(service, door, chest_dicom):
    data = chest_dicom.read_bytes()
    head = f"POST /v1/predictions HTTP/1.1\r\nHost: here\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    for _ in range(200):
        with socket.create_connection(door, timeout=60) as connection:
            connection.sendall(head + data[: len(data) // 2])
    assert _answered(service, data)["findings"]
    assert httpx.get(f"{service.address}/readyz").status_code == httpx.codes.OK
