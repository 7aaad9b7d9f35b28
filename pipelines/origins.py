"""Where a publisher's files come from: a folder, a web address, an S3 prefix; fsspec lists and reads them alike."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from fsspec.core import url_to_fs

from models.errors import OriginError, SettingsError
from pipelines.sources.card import Card

CHUNK = 16 * 2**20
"""Bytes a read asks for; S3 answers a request a chunk."""
AGAIN = "Run the command again; it goes on where it stopped."

_ADDRESS = re.compile(r"([A-Za-z][\w+.-]*://)(?:[^/\s@]*@)?([^\s?#]*)(?:[?#]\S*)?")
_ELSEWHERE = re.compile(r"^/|^[A-Za-z]:|\\|(^|/)\.\.(/|$)|[\0\ud800-\udfff]")
_SUMS = re.compile(r"(.*/)?((sha256|md5)sums(\.txt)?|checksums\.md5)", re.IGNORECASE)
_SUM = re.compile(r"^([0-9a-f]{32}|[0-9a-f]{64}) [ *](.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_CHECKSUM = re.compile(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")
_DROPPINGS = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_MARKS = ("ETag", "etag", "Last-Modified", "LastModified", "mtime", "updated")


@dataclass(frozen=True, slots=True)
class Published:
    """A file as its publisher has it.

    Attributes:
        path: below the origin, with forward slashes.
        where: as its file system calls it.
        size: in bytes; None where a server does not say.
        mark: differs once the file does, as far as its file system tells.
    """

    path: str
    where: str
    size: int | None
    mark: str


class Origin:
    """What stands at an address.

    Args:
        address: a path, or a URL of any protocol that fsspec knows and whose package is installed.

    Attributes:
        name: the address without secrets.
        files: all of them, by path, but for hidden ones and what desktops leave behind.
        left_out: how many those are.
        is_file: it is one file, not a folder.

    Raises:
        OriginError: there is nothing that can be read.
    """

    def __init__(self, address: str) -> None:
        self.name = without_secrets(address)
        self._is_web = address.startswith(("http://", "https://"))
        with self._asking("a folder, an archive or an address that can be read", "Check --from and your access to it."):
            # An instance of its own, for another one may remember a listing.
            self._system, root = url_to_fs(address, skip_instance_cache=True, **(_web() if self._is_web else {}))
            self._is_local = bool(getattr(self._system, "local_file", False))
            self.is_file, found = self._found(root)
        wanted = {path: info for path, info in found.items() if not _is_dropping(path)}
        self.left_out = len(found) - len(wanted)
        self.files = [self._published(path, wanted[path]) for path in sorted(wanted)]

    def chunks(self, file: Published, start: int) -> tuple[int, Iterator[bytes]]:
        """The bytes of a file, and where they begin: at `start`, or at 0 where a server knows no ranges."""
        with self._asking(f"to read {file.path}"):
            if not self._is_web:
                stream = self._system.open(file.where, block_size=CHUNK, cache_type="none")
                stream.seek(start)
            else:
                headers = {"Range": f"bytes={start}-"} if start else {}
                stream = self._system.open(file.where, block_size=0, size=file.size, headers=headers)
                start = start if stream.r.status == 206 else 0
        return start, self._rest(stream, file)

    def read(self, files: Sequence[Published]) -> list[bytes]:
        """Whole files, many at a time where the file system can."""
        asked = [file for file in files if file.size != 0]
        with self._asking(f"to read {len(asked)} files"):
            answers = dict(zip(asked, self._system.cat_ranges([file.where for file in asked], 0, None), strict=True))
        for file, answer in answers.items():
            with self._asking(f"to read {file.path}"):
                if isinstance(answer, BaseException):
                    raise answer
            if file.size not in {None, len(answer)}:
                raise self.refuse(f"{file.size} bytes of {file.path}", f"received {len(answer)}", AGAIN)
        return [answers.get(file, b"") for file in files]

    def refuse(self, expected: str, reason: str, remedy: str) -> OriginError:
        """The error that says what is wrong with this origin."""
        return OriginError(origin=self.name, expected=expected, reason=reason, remedy=remedy)

    def check_path(self, path: str, holder: str = "") -> None:
        """Refuses a path that would lead out of the folder it is for, or that not every system can write."""
        if _ELSEWHERE.search(path):
            expected = f"paths below the folder, in UTF-8 and with forward slashes{holder and f', in {holder}'}"
            raise self.refuse(expected, f"received {path!r}", "Take it from a publisher you trust, or repack it.")

    def _found(self, root: str) -> tuple[bool, dict[str, Any]]:
        info = self._system.info(root)
        if info["type"] == "file":
            name = unquote(PurePosixPath(without_secrets(root)).name) if self._is_web else PurePosixPath(root).name
            return True, {name: info}
        listing = self._below(root) if self._is_local else self._system.find(root, detail=True).values()
        files = (info for info in listing if not info["name"].endswith("/"))
        return False, {str(PurePosixPath(info["name"]).relative_to(root)): info for info in files}

    def _below(self, folder: str) -> Iterator[dict[str, Any]]:
        # The file system's own listing passes over folders that may not be read.
        for info in self._system.ls(folder, detail=True):
            if info["type"] == "directory":
                yield from self._below(info["name"])
            else:
                yield info

    def _published(self, path: str, info: dict[str, Any]) -> Published:
        self.check_path(path)
        if info["type"] != "file" and not self._system.isfile(info["name"]):
            raise self.refuse("files and folders only", f"{path} is a link or a device", "Copy what it stands for.")
        mark = next((str(info[key]) for key in _MARKS if info.get(key)), "")
        return Published(path, info["name"], info["size"], mark)

    def _rest(self, stream: Any, file: Published) -> Iterator[bytes]:
        with stream:
            while True:
                with self._asking(f"to read {file.path}"):
                    chunk = stream.read(CHUNK)
                if not chunk:
                    return
                yield chunk

    @contextmanager
    def _asking(self, expected: str, remedy: str = AGAIN) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            remedy = "Install that package here, or fetch from a folder."
            raise self.refuse("a protocol whose package is installed", str(error), remedy) from error
        except Exception as error:  # each file system of fsspec has its own
            raise self.refuse(expected, _reason(error), remedy) from error


def _is_dropping(path: str) -> bool:
    parts = path.casefold().split("/")
    return any((part[:1] == "." and part != "..") or part in _DROPPINGS for part in parts)


def without_secrets(text: str) -> str:
    """The text, each address in it without user, password and query."""
    return _ADDRESS.sub(r"\1\2", text)


def _web() -> dict[str, Any]:
    """A session that heeds proxies, may last as long as it gives bytes, and sends files as they are."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    return {"client_kwargs": {"trust_env": True, "timeout": timeout, "headers": {"Accept-Encoding": "identity"}}}


def _reason(error: Exception) -> str:
    inner = error.__cause__ or error
    said = without_secrets(" ".join(str(getattr(inner, "message", inner)).split())).rpartition(" operation: ")[2]
    if status := getattr(inner, "status", None):
        return f"the server answers {status} ({said})"
    if isinstance(inner, FileNotFoundError) and not inner.strerror and " " not in said:
        return "it is not there"
    return said.removesuffix(".") or type(inner).__name__


def known_checksums(origin: Origin, card: Card, given: str | None) -> dict[str, str]:
    """`md5:...` or `sha256:...` of the origin's files by path: as given, as the card has it, or as a list beside says.

    Raises:
        SettingsError: what is given is no checksum, or the origin is not one file.
        OriginError: a list cannot be read.
    """
    if given is not None and not (origin.is_file and _CHECKSUM.fullmatch(given.lower())):
        reason = f"expected sha256: or md5: with its digits, and an origin that is one file, but received {given}"
        raise SettingsError(where="--checksum", reason=f"{reason} for {origin.name}.")
    known: dict[str, str] = {}
    for file in origin.files:
        if _SUMS.fullmatch(file.path):
            for digest, path in _SUM.findall(origin.read([file])[0].decode("utf-8", "replace")):
                algorithm = "md5" if len(digest) == 32 else "sha256"
                known[str(PurePosixPath(file.path).parent / path)] = f"{algorithm}:{digest.lower()}"
    by_name = {file.path: given or card.checksums.get(PurePosixPath(file.path).name) for file in origin.files}
    known |= {path: checksum.lower() for path, checksum in by_name.items() if checksum}
    return {file.path: known[file.path] for file in origin.files if file.path in known}
