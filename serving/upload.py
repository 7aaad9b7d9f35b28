"""The one file of a request, whole and in memory: what was sent never touches a disk."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from models.errors import BadRequestError, MalformedFileError, NoRoomError, SlowUploadError, TooLargeError
from serving.errors import RETRY_AFTER_SECONDS

FIELD = "file"
# Boundary lines and part headers around the file.
_MULTIPART_OVERHEAD_BYTES = 16_384
_EXPECTED = f"one file, as the multipart field {FIELD!r} or as the raw body"


class UploadRoom:
    """Memory for all files that are being received or answered at once.

    Args:
        max_bytes: of all of them together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._free = max_bytes

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """What one request holds until it is answered; call what is given with the bytes of each piece.

        Raises:
            NoRoomError: from that call, where the others leave no room.
        """
        held = 0

        def take(size: int) -> None:
            nonlocal held
            if size > self._free:
                raise NoRoomError(retry_after_seconds=RETRY_AFTER_SECONDS)
            self._free -= size
            held += size

        try:
            yield take
        finally:
            self._free += held


async def uploaded_file(request: Request, max_bytes: int, seconds: float, take: Callable[[int], None]) -> bytes:
    """The multipart field `file`, or the raw body.

    Args:
        request: whose body has not been read.
        max_bytes: of the file.
        seconds: within which it has to be here.
        take: is told the size of each piece, before it is kept.

    Raises:
        NoRoomError: what `take` raises.
        SlowUploadError: it is not.
        TooLargeError: more than `max_bytes`; reading stops there.
        MalformedFileError: nothing was sent.
        BadRequestError: a multipart body without the field, with more than it, or broken.
    """
    multipart = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    try:
        async with asyncio.timeout(seconds):
            body = await _body(request, max_bytes + (_MULTIPART_OVERHEAD_BYTES if multipart else 0), max_bytes, take)
    except TimeoutError:
        raise SlowUploadError(seconds=seconds) from None
    if multipart:
        body = await _field(request, body, max_bytes)
    if not body:
        raise MalformedFileError(format="PNG, JPEG or DICOM", reason="it is empty")
    return body


async def _body(request: Request, stop_bytes: int, max_bytes: int, take: Callable[[int], None]) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > stop_bytes:
        raise TooLargeError(limit=max_bytes, unit="bytes", received=int(announced))
    body = bytearray()
    async for chunk in request.stream():
        take(len(chunk))
        body += chunk
        if len(body) > stop_bytes:
            raise TooLargeError(limit=max_bytes, unit="bytes", received=f"more than {stop_bytes}")
    return bytes(body)


async def _field(request: Request, body: bytes, max_bytes: int) -> bytes:
    parser = MultiPartParser(request.headers, _once(body), max_files=1, max_fields=0)
    parser.spool_max_size = len(body)  # the parser's default writes larger files to a temporary folder
    try:
        form: FormData = await parser.parse()
    except MultiPartException as error:
        raise BadRequestError(expected=_EXPECTED, reason=error.message.rstrip(".")) from error
    try:
        upload = form.get(FIELD)
        if not isinstance(upload, UploadFile):
            raise BadRequestError(expected=_EXPECTED, reason=f"the form has no file in a field {FIELD!r}")
        content = await upload.read()
    finally:
        await form.close()
    if len(content) > max_bytes:
        raise TooLargeError(limit=max_bytes, unit="bytes", received=len(content))
    return content


async def _once(body: bytes) -> AsyncGenerator[bytes]:
    yield body
