"""What a source's folder below `data/raw` holds: files and archives alike, read without unpacking them."""

import errno
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from models.errors import DataError

ARCHIVE = ".zip"


@dataclass(frozen=True, slots=True)
class _Member:
    archive: Path
    name: str
    state: str


class RawFiles:
    """The files of a folder, as if each zip archive were unpacked where it stands.

    Opened anew in each process: an instance may be handed to another one.

    Args:
        folder: of the source below `data/raw`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._archives: dict[Path, zipfile.ZipFile] = {}

    @property
    def paths(self) -> list[str]:
        """Every file's path below the folder, with forward slashes, sorted."""
        return sorted(self._files)

    def matching(self, patterns: Iterable[str]) -> list[str]:
        """Those paths that the patterns stand for; see the function `matching`."""
        return matching(self.paths, patterns)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def read(self, path: str) -> bytes:
        """The whole file.

        Raises:
            OSError: it is not there, cannot be read or is torn inside its archive.
        """
        found = self._files.get(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        if isinstance(found, Path):
            return found.read_bytes()
        try:
            return self._open(found.archive).read(found.name)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise OSError(errno.EIO, "torn inside its archive", path) from error

    def state(self, path: str) -> str:
        """Differs once the file does, without reading it: size with checksum in an archive, size with time outside."""
        found = self._files[path]
        if isinstance(found, _Member):
            return found.state
        status = found.stat()
        return f"{status.st_size}-{status.st_mtime_ns}"

    @cached_property
    def _files(self) -> dict[str, Path | _Member]:
        found: dict[str, Path | _Member] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.suffix.lower() == ARCHIVE:
                found |= self._members(path)
            elif path.is_file():
                found[path.relative_to(self.folder).as_posix()] = path
        return found

    def _members(self, archive: Path) -> dict[str, Path | _Member]:
        inside = archive.parent.relative_to(self.folder)
        return {
            (inside / info.filename).as_posix(): _Member(archive, info.filename, f"{info.file_size}-{info.CRC:08x}")
            for info in self._open(archive).infolist()
            if not info.is_dir()
        }

    def _open(self, archive: Path) -> zipfile.ZipFile:
        if archive not in self._archives:
            try:
                self._archives[archive] = zipfile.ZipFile(archive)
            except (OSError, zipfile.BadZipFile) as error:
                reason = f"{archive} is no zip archive that can be read ({error}). Fetch the source again."
                raise DataError(reason=reason) from error
        return self._archives[archive]

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_archives": {}}


def matching(paths: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """Paths that match one of the patterns and none of those that follow a `!`.

    `*` stands for any characters, `/` too, and case does not matter.
    """
    lowered = [pattern.lower() for pattern in patterns]
    wanted = [pattern for pattern in lowered if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in lowered if pattern.startswith("!")]
    return [path for path in paths if _matches(path, wanted) and not _matches(path, unwanted)]


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(path.lower(), pattern) for pattern in patterns)
