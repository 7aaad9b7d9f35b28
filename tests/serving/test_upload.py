"""The one file of a request, as it arrives through ASGI."""

import asyncio
import gc
import tempfile
from itertools import count

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from models.errors import BadRequestError, MalformedFileError, NoRoomError, SlowUploadError, TooLargeError
from serving.upload import UploadRoom, uploaded_file

# Every byte, and line ends as multipart's own: what a parser could trip over.
FILE = bytes(range(256)) + b"\r\n--boundary\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\npixels\r\n--b--\r\n'
MULTIPART = "multipart/form-data; boundary=b"


def free(_size):
    """There is always room."""


def upload(max_bytes=1000, content_type=None, **sent):
    """What `uploaded_file` gives, or raises, for a request of these contents."""

    async def door(scope, receive, send):
        await Response(await uploaded_file(Request(scope, receive), max_bytes, seconds=60, take=free))(
            scope, receive, send
        )

    async def ask():
        headers = {"content-type": content_type} if content_type else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://door") as client:
            return (await client.post("/", headers=headers, **sent)).content

    return asyncio.run(ask())


async def parts(*contents):
    for content in contents:
        yield content


def test_a_raw_body_arrives_unchanged():
    assert upload(content=FILE) == FILE
    assert upload(content=FILE, content_type="application/dicom") == FILE


def test_a_raw_body_in_pieces_arrives_whole():
    assert upload(content=parts(b"one ", b"two ", b"three")) == b"one two three"


def test_the_field_file_of_a_form_arrives_unchanged():
    assert upload(files={"file": ("chest.dcm", FILE)}) == FILE
    assert upload(content=PART, content_type="Multipart/Form-Data; boundary=b") == b"pixels"


def test_a_large_file_of_a_form_never_touches_a_disk(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    data = bytes(3 * 2**20)  # the parser's own limit of what stays in memory is 1 MiB
    assert upload(max_bytes=len(data), files={"file": ("chest.dcm", data)}) == data


def test_a_file_of_just_the_limit_is_taken_either_way():
    assert upload(max_bytes=10, content=b"0123456789") == b"0123456789"
    assert upload(max_bytes=10, files={"file": ("a", b"0123456789")}) == b"0123456789"


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ({"content": b"0123456789+"}, "11"),
        ({"content": parts(b"01234", b"56789", b"+")}, "more than 10"),
        ({"files": {"file": ("a", b"0123456789+")}}, "11"),
    ],
    ids=["announced", "not announced", "form"],
)
def test_one_byte_more_than_the_limit_is_refused(sent, received):
    with pytest.raises(TooLargeError) as refused:
        upload(max_bytes=10, **sent)
    assert str(refused.value) == f"Expected at most 10 bytes, but received {received} bytes. Send a smaller file."


def test_a_form_far_over_the_limit_is_refused_before_it_is_parsed():
    with pytest.raises(TooLargeError) as refused:
        upload(max_bytes=10, content=b"no form at all " * 2000, content_type=MULTIPART)
    assert refused.value.values == {"limit": 10, "unit": "bytes", "received": 30_000}


def test_an_endless_body_is_read_no_further_than_the_limit():
    read = count()

    async def endless():
        while True:
            next(read)
            yield bytes(100)

    with pytest.raises(TooLargeError):
        upload(max_bytes=1000, content=endless())
    assert next(read) == 11


def test_a_length_that_is_no_number_is_not_believed():
    assert upload(content=parts(b"pixels")) == b"pixels"
    assert asyncio.run(_with_length("²".encode("latin-1"))) == b"pixels"


async def _with_length(length):
    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", length)]}

    async def receive():
        return {"type": "http.request", "body": b"pixels", "more_body": False}

    return await uploaded_file(Request(scope, receive), 1000, seconds=60, take=free)


def test_nothing_sent_is_a_malformed_file():
    sentence = "Expected a complete PNG, JPEG or DICOM file, but it is empty."
    with pytest.raises(MalformedFileError, match=sentence):
        upload(content=b"")
    with pytest.raises(MalformedFileError, match=sentence):
        upload(files={"file": ("a.png", b"")})


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"files": {"picture": ("a", b"1")}}, "no file in a field 'file'"),
        ({"files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, "Too many files"),
        ({"files": {"file": ("a", b"1")}, "data": {"note": "left lung"}}, "Too many fields"),
        ({"content": PART, "content_type": "multipart/form-data"}, "boundary"),
        ({"content": PART, "content_type": "multipart/form-data; boundary=other"}, "Invalid multipart data"),
        ({"content": b"\x00\xff" * 40, "content_type": MULTIPART}, "Invalid multipart data"),
        ({"content": PART.replace(b'; filename="a.png"', b""), "content_type": MULTIPART}, "Too many fields"),
        ({"content": PART.replace(b'name="file"; ', b""), "content_type": MULTIPART}, '"name" must be provided'),
        ({"content": b"", "content_type": MULTIPART}, "no file in a field 'file'"),
    ],
    ids=["other field", "two files", "text too", "no boundary", "other boundary", "noise", "text", "no name", "empty"],
)
def test_a_form_that_the_interface_does_not_describe_is_refused(sent, reason):
    with pytest.raises(BadRequestError) as refused:
        upload(**sent)
    sentence = str(refused.value)
    assert sentence.startswith("Expected one file, as the multipart field 'file' or as the raw body, but ")
    assert reason in sentence
    assert ".." not in sentence


# Starlette leaves the file of a part that never ends, which holds memory only, to the garbage collector.
@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")
@pytest.mark.parametrize("kept", [20, 70, len(PART) - 10, len(PART) - 3])
def test_a_form_that_was_cut_short_is_refused(kept):
    with pytest.raises(BadRequestError, match="no file in a field 'file'"):
        upload(content=PART[:kept], content_type=MULTIPART)
    gc.collect()


@pytest.mark.parametrize("kind", ["image/png", MULTIPART])
def test_an_upload_that_stalls_is_given_up(kind):
    async def stalling():
        sent = False

        async def receive():
            nonlocal sent
            if sent:
                await asyncio.sleep(3600)
            sent = True
            return {"type": "http.request", "body": PART[:40], "more_body": True}

        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
        return await uploaded_file(Request(scope, receive), 1000, seconds=0.2, take=free)

    with pytest.raises(SlowUploadError, match=r"within 0\.2 seconds"):
        asyncio.run(stalling())


def test_files_that_are_held_at_once_share_one_room():
    room = UploadRoom(100)
    with room.share() as take, room.share() as take_too:
        take(60)
        with pytest.raises(NoRoomError):
            take_too(41)
        take_too(40)
        with pytest.raises(NoRoomError):
            take(1)
    with room.share() as take:
        take(100)


def test_an_upload_that_finds_no_room_is_turned_away_while_it_arrives():
    async def ask():
        body = [{"type": "http.request", "body": bytes(40), "more_body": True}] * 3

        async def receive():
            return body.pop()

        with UploadRoom(100).share() as take:
            await uploaded_file(Request({"type": "http", "method": "POST", "headers": []}, receive), 1000, 60, take)

    with pytest.raises(NoRoomError):
        asyncio.run(ask())
