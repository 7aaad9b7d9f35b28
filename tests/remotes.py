"""Servers that data is fetched from: a web server, and an S3 of moto's."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest


@dataclass
class Site:
    """What a web server gives: files by path, with or without ranges, all of it or `cut` bytes of its next answer."""

    files: dict[str, bytes]
    ranges: bool = True
    cut: int | None = None
    status: int | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    address: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, wanted = request.path.partition("?")[0], request.headers.get("Range")
        self.asked.append((request.command, path, wanted))
        if self.status or path not in self.files:
            request.send_error(self.status or 404)
            return
        data = self.files[path]
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and self.ranges else 0
        request.send_response(206 if wanted and self.ranges else 200)
        request.send_header("Content-Length", str(len(data) - start))
        request.send_header("ETag", f'"{hashlib.md5(data).hexdigest()}"')  # noqa: S324
        request.end_headers()
        if request.command == "GET":
            stop, self.cut = (None if self.cut is None else start + self.cut), None
            request.wfile.write(data[start:stop])


@contextmanager
def serving(files: dict[str, bytes], **how: bool) -> Iterator[Site]:
    site = Site(files, **how)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def do_HEAD(self) -> None:
            site.answer(self)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        site.address = f"http://127.0.0.1:{server.server_port}"
        yield site
        server.shutdown()


@contextmanager
def s3() -> Iterator[Any]:
    """A client of an S3 of moto's, which fsspec and DVC find too."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        yield client
        client.close()
    server.stop()


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    with s3() as client:
        yield client


@pytest.fixture
def bucket(store: Any) -> Any:
    """The client, its S3 with nothing but an empty bucket `hospital`."""
    httpx.post(f"{store.meta.endpoint_url}/moto-api/reset").raise_for_status()
    store.create_bucket(Bucket="hospital")
    return store


def put(client, **files):
    for key, data in files.items():
        client.put_object(Bucket="hospital", Key=key, Body=data)


def write(folder, **files):
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder
