"""Brings a source's files into its folder below `data/raw`: checked, as zip archives, whole or not at all.

Millions of small files are slow to hash and to copy: loose files are packed, tar archives repacked, zip archives kept
byte for byte. Parts are made in a folder beside, where the next call finds them if this one fails.
"""

import hashlib
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, BufferedReader, BytesIO
from itertools import count
from pathlib import Path, PurePosixPath

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from models.errors import DataError, OriginError, RawDataMissingError
from pipelines.archives import ANEW, REPACK, check_zip, repack_tar, stored_member
from pipelines.origins import AGAIN, Origin, Published, known_checksums
from pipelines.raw import matching
from pipelines.sources.card import Card
from pipelines.sources.source import Source

FILES_A_PART, BYTES_A_PART = 20_000, 2**30
_FILES_A_READ, _BYTES_A_READ = 256, 64 * 2**20

_ZIP = re.compile(r"\.zip$", re.IGNORECASE)
_TAR = re.compile(r"\.(tar|tar\.gz|tgz)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought.

    Attributes:
        files: as if every archive were unpacked.
        bytes: of these files.
        verified: published files, an archive being one, whose checksum is known and right.
        left_out: hidden files and what desktops leave behind.
    """

    files: int
    bytes: int
    verified: int
    left_out: int


def fetch(source: Source, card: Card, origin: str, raw_dir: Path, checksum: str | None = None) -> Fetched:
    """Fills `raw_dir` with what stands at the origin; parts that an earlier call brought are not fetched again.

    Args:
        source: whose `required` files have to be there.
        card: knows checksums of the publisher.
        origin: a folder, an archive or a URL.
        raw_dir: replaced once everything is brought and found right.
        checksum: `sha256:...` or `md5:...` of an origin that is one file.

    Raises:
        OriginError: the origin cannot be read, is not what was published, or holds what a data set should not.
        RawDataMissingError: it is not this source.
        SettingsError: the checksum is none, or the origin is not one file.
        DataError: the disk refuses.
    """
    published = Origin(origin)
    checksums = known_checksums(published, card, checksum)
    parts = _parts(published, checksums)
    if not any(part.archive for part in parts):
        _require(source, published, [file.path for file in published.files])
    work = raw_dir.parent / f".{raw_dir.name}.partial"
    try:
        _prepare(work, raw_dir, {part.key for part in parts})
        with _progress(published.files) as advance:
            for part in parts:
                _Making(published, checksums, work / part.key, advance).make(part)
        sizes = _sizes(published, parts, work)
        _require(source, published, sizes)
        _replace(raw_dir, parts, work)
    except OSError as error:
        reason = f"{raw_dir} could not be written ({error.strerror or error}), what it holds is as it was."
        raise DataError(reason=f"{reason} See that its disk has free space and may be written to. {AGAIN}") from error
    return Fetched(len(sizes), sum(sizes.values()), len(checksums), published.left_out)


@dataclass(frozen=True, slots=True)
class _Part:
    """One archive of the folder.

    Attributes:
        target: its path there.
        files: what it is made of.
        archive: whether that is one archive as published.
        key: another one if anything of this, the origin or a checksum changes.
    """

    target: str
    files: tuple[Published, ...]
    archive: bool
    key: str


def _parts(origin: Origin, checksums: Mapping[str, str]) -> list[_Part]:
    made: dict[str, tuple[Published, ...]] = {file.path: (file,) for file in origin.files if _ZIP.search(file.path)}
    for file in origin.files:
        if _TAR.search(file.path):
            target = _TAR.sub(".zip", file.path)
            made[f"{file.path}.zip" if target in made else target] = (file,)
    archives = frozenset(made)
    loose = [file for file in origin.files if not _ZIP.search(file.path) and not _TAR.search(file.path)]
    names = (name for number in count() if (name := f"files-{number:05d}.zip") not in archives)
    made.update(zip(names, _groups(loose, FILES_A_PART, BYTES_A_PART), strict=False))
    facts = {
        target: repr((origin.name, target, [(f.path, f.size, f.mark, checksums.get(f.path)) for f in files]))
        for target, files in made.items()
    }
    return [
        _Part(target, files, target in archives, hashlib.sha256(facts[target].encode()).hexdigest()[:32])
        for target, files in made.items()
    ]


def _groups(files: Sequence[Published], most: int, most_bytes: int) -> Iterator[tuple[Published, ...]]:
    group: list[Published] = []
    size = 0
    for file in files:
        if group and (len(group) == most or size + (file.size or 0) > most_bytes):
            yield tuple(group)
            group, size = [], 0
        group.append(file)
        size += file.size or 0
    if group:
        yield tuple(group)


@dataclass(frozen=True, slots=True)
class _Making:
    """How a part is made: `<path>.zip` is there once it is whole and right.

    Attributes:
        origin: of its files.
        checksums: by path.
        path: without suffix.
        advance: is told how many bytes were read.
    """

    origin: Origin
    checksums: Mapping[str, str]
    path: Path
    advance: Callable[[int], None]

    def make(self, part: _Part) -> None:
        done, draft = self.path.with_suffix(".zip"), self.path.with_suffix(".draft")
        if done.exists():
            self.advance(sum(file.size or 0 for file in part.files))
            return
        if part.archive:
            self._unpackable(part.files[0], draft)
        else:
            self._pack(part.files, draft)
        draft.rename(done)

    def _pack(self, files: Sequence[Published], draft: Path) -> None:
        with zipfile.ZipFile(draft, "w") as made:
            for group in _groups(files, _FILES_A_READ, _BYTES_A_READ):
                for file, data in zip(group, self.origin.read(group), strict=True):
                    self._verify(file, BytesIO(data))
                    made.writestr(stored_member(file.path), data)
                    self.advance(len(data))

    def _unpackable(self, file: Published, draft: Path) -> None:
        half = self.path.with_suffix(".half")
        self._download(file, half)
        try:
            with half.open("rb") as stream:
                self._verify(file, stream)
            if _ZIP.search(file.path):
                check_zip(self.origin, file.path, half)
                half.rename(draft)
            else:
                repack_tar(self.origin, file.path, half, draft)
        except OriginError:
            half.unlink()
            raise
        half.unlink(missing_ok=True)

    def _download(self, file: Published, half: Path) -> None:
        half.touch()
        with half.open("r+b") as held:
            start = held.seek(0, SEEK_END)
            if file.size is None or start > file.size:
                start = 0
            if start != file.size:
                start, chunks = self.origin.chunks(file, start)
                held.seek(start)
                held.truncate()
                self.advance(start)
                for chunk in chunks:
                    held.write(chunk)
                    self.advance(len(chunk))
            if file.size not in {None, held.tell()}:
                reason = f"received {held.tell()}"
                raise self.origin.refuse(f"{file.size} bytes of {file.path}", reason, AGAIN)

    def _verify(self, file: Published, stream: BytesIO | BufferedReader) -> None:
        if known := self.checksums.get(file.path):
            algorithm = known.partition(":")[0]
            received = f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"
            if received != known:
                raise self.origin.refuse(f"{file.path} with {known}", f"received {received}", ANEW)


def _sizes(origin: Origin, parts: Sequence[_Part], work: Path) -> dict[str, int]:
    """Of every file by its path, as if each archive were unpacked where it stands."""
    found: dict[str, tuple[int, int]] = {}
    for part in parts:
        with zipfile.ZipFile(work / f"{part.key}.zip") as opened:
            for info in opened.infolist():
                path = str(PurePosixPath(part.target).parent / info.filename)
                state = (info.file_size, info.CRC)
                if not info.is_dir() and found.setdefault(path, state) != state:
                    raise origin.refuse(f"one file at {path}", f"{part.target} holds another", REPACK)
    return {path: size for path, (size, _) in found.items()}


def _require(source: Source, origin: Origin, paths: Iterable[str]) -> None:
    found = list(paths)
    missing = [pattern for pattern in source.required if not matching(found, (pattern,))]
    if missing:
        remedy = "Name the folder that holds it with --from."
        raise RawDataMissingError(expected=" and ".join(missing), folder=origin.name, remedy=remedy)


def _prepare(work: Path, raw_dir: Path, keys: set[str]) -> None:
    """Leaves in the work folder what this fetch goes on with, and puts back what a kill kept from its place."""
    work.mkdir(parents=True, exist_ok=True)
    if (work / "old").exists() and not raw_dir.exists():
        (work / "old").rename(raw_dir)
    for left in work.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.stem not in keys:
            left.unlink()


def _replace(raw_dir: Path, parts: Sequence[_Part], work: Path) -> None:
    old, new = work / "old", work / "new"
    for part in parts:
        (new / part.target).parent.mkdir(parents=True, exist_ok=True)
        (work / f"{part.key}.zip").rename(new / part.target)
    if raw_dir.exists():
        raw_dir.rename(old)
    try:
        new.rename(raw_dir)
    except OSError:
        if old.exists():
            old.rename(raw_dir)
        raise
    shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _progress(files: Sequence[Published]) -> Iterator[Callable[[int], None]]:
    """A bar where stderr is a terminal; it is told how many bytes more there are."""
    console = Console(stderr=True)
    columns = (TextColumn("Fetching"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=sum(file.size or 0 for file in files) or None)
        yield lambda size: bar.advance(task, size)
