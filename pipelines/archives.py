"""Archives as they come from elsewhere: looked through to their end before anything of them is taken over."""

import copy
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pipelines.origins import CHUNK, Origin

ANEW = "Run the command again to fetch it anew, or ask its publisher."
REPACK = "Unpack it, see what it holds, and fetch from that folder."
_UNPACKED_BYTES, _UNPACKED_RATIO = 2**30, 100  # an archive may grow to the larger of the two
_TORN_ZIP = (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, zlib.error, lzma.LZMAError)
_TORN_TAR = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError)


def check_zip(origin: Origin, name: str, archive: Path) -> None:
    """Reads a zip archive to its end: each member is a file, as large as it says, and stays below the folder.

    Raises:
        OriginError: it is torn or encrypted, a member is a link or climbs out, or it unpacks to more than it may.
    """
    with _complete(origin, name, _TORN_ZIP), zipfile.ZipFile(archive) as opened:
        members = [info for info in opened.infolist() if not info.is_dir()]
        _check_bytes(origin, name, archive, sum(info.file_size for info in members))
        for info in members:
            is_file = stat.S_IFMT(info.external_attr >> 16) in {0, stat.S_IFREG}
            _check_member(origin, name, info.filename, is_file=is_file)
            if info.flag_bits & 1:
                raise origin.refuse(f"files in {name} that need no password", f"{info.filename} is encrypted", REPACK)
            longer = copy.copy(info)
            longer.file_size += 1  # reading stops where the member is said to end
            with opened.open(longer) as member:
                size = 0
                while data := member.read(CHUNK):
                    size += len(data)
            if size != info.file_size:
                raise zipfile.BadZipFile(f"{info.filename} has not the size it is said to have")


def repack_tar(origin: Origin, name: str, archive: Path, draft: Path) -> None:
    """Writes the files of a tar archive into a zip archive as they are read.

    Raises:
        OriginError: as for `check_zip`.
    """
    size = 0
    with _complete(origin, name, _TORN_TAR), tarfile.open(archive) as opened, zipfile.ZipFile(draft, "w") as made:
        for member in opened:
            if member.isdir():
                continue
            _check_member(origin, name, member.name, is_file=member.isreg() and not member.issparse())
            size += member.size
            _check_bytes(origin, name, archive, size)
            info = stored_member(str(PurePosixPath(member.name)))
            if info.filename in made.NameToInfo:
                raise origin.refuse(f"one {info.filename} in {name}", "there are two", REPACK)
            info.file_size = member.size
            contents = opened.extractfile(member)
            assert contents is not None  # noqa: S101 -- it is a file
            with made.open(info, "w") as target:
                shutil.copyfileobj(contents, target, CHUNK)
        # Where a header is torn, the members just end.
        rest = opened.fileobj.read(CHUNK)
        if not rest or rest.strip(b"\0"):
            raise tarfile.ReadError("it does not end with empty blocks")


def _check_member(origin: Origin, name: str, path: str, *, is_file: bool) -> None:
    origin.check_path(path, name)
    if not is_file:
        raise origin.refuse(f"files and folders in {name}", f"{path} is a link or a device", REPACK)


def _check_bytes(origin: Origin, name: str, archive: Path, size: int) -> None:
    """Refuses what unpacks to more than any archive of radiographs, for these hardly shrink."""
    most = max(_UNPACKED_BYTES, _UNPACKED_RATIO * archive.stat().st_size)
    if size > most:
        raise origin.refuse(f"{name} to unpack to at most {most} bytes", f"it says {size}", REPACK)


@contextmanager
def _complete(origin: Origin, name: str, torn: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except torn as error:
        reason = str(error).partition(":")[0] or "it ends too early"
        raise origin.refuse(f"{name} to be a whole archive", reason, ANEW) from error


def stored_member(path: str) -> zipfile.ZipInfo:
    """Stored as it is, always with the same date: the same files give the same archive."""
    info = zipfile.ZipInfo(path)
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info
