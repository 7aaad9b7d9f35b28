"""Asks at a constant rate, however slow the answers are: nobody waits for anybody."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter, process_time
from urllib.parse import urlsplit

from tests.bench.peers.film import Message

LOST = 0
"""The status of an answer that never came."""
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    seconds: float
    retry_after: bool


@dataclass(frozen=True)
class Flood:
    """What came of it; `busy` is the share of one processor that asking took."""

    replies: list[Reply]
    seconds: float
    busy: float


def flood(url: str, message: Message, a_second: float, seconds: float) -> Flood:
    """Sends the message so often for so long."""
    return asyncio.run(_Asking(url, message).flood(a_second, seconds))


class _Asking:
    def __init__(self, url: str, message: Message) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {message.content_type}\r\n"
            f"Content-Length: {len(message.body)}\r\n\r\n"
        )
        self._request = head.encode() + message.body
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def flood(self, a_second: float, seconds: float) -> Flood:
        tasks = []
        began, worked = perf_counter(), process_time()
        for number in range(round(a_second * seconds)):
            if (ahead := began + number / a_second - perf_counter()) > 0:
                await asyncio.sleep(ahead)
            tasks.append(asyncio.create_task(self._reply()))
        asked = perf_counter() - began
        replies = await asyncio.gather(*tasks)
        return Flood(replies, asked, (process_time() - worked) / (perf_counter() - began))

    async def _reply(self) -> Reply:
        since, status, head = perf_counter(), LOST, b""
        with suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                status, head = await self._ask()
        return Reply(status, perf_counter() - since, b"retry-after:" in head)

    async def _ask(self) -> tuple[int, bytes]:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        keep = False
        try:
            writer.write(self._request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
            keep = b"connection: close" not in head
            return int(head.split()[1]), head
        finally:
            if keep:
                self._idle.append((reader, writer))
            else:
                writer.close()
