"""What stands at INPUT: a folder, an archive or a prefix of S3; fsspec lists and reads them alike."""

import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Protocol

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from models.errors import SettingsError, UnreadableFileError

_CHUNK = 16 * 2**20
_LEFT_OUT = frozenset({"dicomdir", "__macosx", "thumbs.db", "desktop.ini"})
_TORN = (
    *(OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
    RuntimeError,  # of zipfile: a password is needed, or a compression that it does not know
)

_Named = dict[str, str]  # how the file system or the archive calls a file, where that is not its path
_Found = list[tuple[str, str, int]]  # path, how it is called there, bytes


class Reader(Protocol):
    """Reads the files of an input; travels to the workers."""

    def read(self, file: str) -> bytes:
        """The whole file; safe from several threads.

        Raises:
            UnreadableFileError: it is gone, torn or may not be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Input:
    """What is to be scored.

    Attributes:
        address: of the input, absolute.
        sizes: bytes of each file, by its path below the input, with forward slashes, sorted.
        left_out: how many files are none to score: hidden, left behind by desktops, or a DICOMDIR.
        source: where its files are read.
    """

    address: str
    sizes: dict[str, int]
    left_out: int
    source: "Reader | TarStream"


@dataclass(frozen=True)
class _Folder:
    system: Any
    root: str
    named: _Named

    def read(self, file: str) -> bytes:
        path = f"{self.root.rstrip('/')}/{self.named.get(file, file)}"
        with _reading(file):
            if isinstance(self.system, LocalFileSystem) and not self.system.isfile(path):  # a pipe would never end
                raise OSError("there is no regular file")
            return bytes(self.system.cat_file(path))


@dataclass(frozen=True)
class _Zip:
    system: Any
    path: str
    named: _Named

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.system.open(self.path))

    def read(self, file: str) -> bytes:
        with _reading(file):
            return self._archive.read(self.named.get(file, file))


@dataclass(frozen=True)
class TarStream:
    """The files of a tar archive, which can only be read in its order."""

    system: Any
    path: str

    def read_all(self, files: frozenset[str], max_bytes: int) -> Iterator[tuple[str, int, bytes | None]]:
        """Path, bytes and contents of each of these files; no contents of a link or a device, nor of what is larger."""
        with self.system.open(self.path) as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                path = _path(member.name)
                if path in files:
                    contents = archive.extractfile(member) if member.isreg() and member.size <= max_bytes else None
                    yield path, member.size, contents.read() if contents else None


def find_input(address: str) -> Input:
    """Lists an input.

    Raises:
        SettingsError: there is nothing to score, or not everything that is there can be listed.
    """
    try:
        system, root = url_to_fs(address, skip_instance_cache=True)
        found, source = _found(address, system, root)
    except SettingsError:
        raise
    except Exception as error:  # each file system of fsspec has its own
        raise _refused(address, _reason(error)) from error
    sizes = {path: size for path, _, size in sorted(found) if not _is_left_out(path)}
    twice = [path for path, times in Counter(path for path, _, _ in found).items() if times > 1]
    if twice:
        raise _refused(address, f"it holds {twice[0]} more than once; unpack it and look")
    if not sizes:
        raise _refused(address, f"it holds none; hidden and system files left out: {len(found)}")
    return Input(system.unstrip_protocol(root), sizes, len(found) - len(sizes), source)


def _found(address: str, system: Any, root: str) -> tuple[_Found, Reader | TarStream]:
    if not system.isfile(root):
        if not system.exists(root):
            raise _refused(address, "there is nothing")
        found = [(_path(name), name, size) for name, size in _listed(system, root)]
        return found, _Folder(system, root, _named(found))
    with system.open(root) as stream:
        if zipfile.is_zipfile(stream):
            found = [(_path(info.filename), info.filename, info.file_size) for info in _members(stream)]
            return found, _Zip(system, root, _named(found))
        stream.seek(0)
        if tarfile.is_tarfile(stream):
            stream.seek(0)
            return [(_path(name), name, size) for name, size in _tar_members(stream)], TarStream(system, root)
    raise _refused(address, "it is another file; `thorax predict` scores single ones")


def _listed(system: Any, root: str) -> Iterator[tuple[str, int]]:
    if isinstance(system, LocalFileSystem):
        infos = _below(system, root)
    else:
        infos = iter(system.find(root, detail=True).values())
    for info in infos:
        if not info["name"].endswith("/"):  # how S3 marks an empty folder
            yield info["name"].removeprefix(root).lstrip("/"), info["size"]


def _below(system: Any, folder: str) -> Iterator[dict[str, Any]]:
    # The file system's own listing passes over folders that may not be read.
    for info in system.ls(folder, detail=True):
        if info["type"] == "directory":
            yield from _below(system, info["name"])
        else:
            yield info


def _members(stream: Any) -> Iterator[zipfile.ZipInfo]:
    with zipfile.ZipFile(stream) as archive:
        yield from (info for info in archive.infolist() if not info.is_dir())


def _tar_members(stream: Any) -> Iterator[tuple[str, int]]:
    with tarfile.open(fileobj=stream) as archive:
        for member in archive:
            if not member.isdir():
                yield member.name, member.size
        rest = archive.fileobj.read(_CHUNK) if archive.fileobj else b""
        if not rest or rest.strip(b"\0"):  # where a header is torn, the members just end
            raise tarfile.ReadError("it does not end as a tar archive does; it may be torn")


def _path(name: str) -> str:
    """A path that every table can hold, whatever bytes the name is made of."""
    path = PurePosixPath(name.lstrip("/")).as_posix()
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _named(found: _Found) -> _Named:
    return {path: name for path, name, _ in found if path != name}


def _is_left_out(path: str) -> bool:
    parts = path.casefold().split("/")
    return any((part.startswith(".") and part != "..") or part in _LEFT_OUT for part in parts)


@contextmanager
def _reading(file: str) -> Iterator[None]:
    try:
        yield
    except _TORN as error:
        raise UnreadableFileError(path=file, reason=_reason(error)) from error


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.removesuffix(".") or type(error).__name__


def _refused(address: str, reason: str) -> SettingsError:
    expected = "expected radiographs in a folder, a zip or tar archive or an s3:// prefix"
    return SettingsError(where="INPUT", reason=f"{expected}, but at {address} {reason}.")
