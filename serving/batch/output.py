"""The folder of part files: each written whole or not at all, and what is in one is never done again.

_batch.json          what the run is about; held locked by whoever writes
part-000000.parquet  rows of `serving.batch.rows`; to have its files scored again, delete it
"""

import fcntl
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.errors import SettingsError, UnreadableFileError

RUN = "_batch.json"
_PART = re.compile(r"part-(\d{6,})\.parquet")
_DRAFT = ".draft"
_PART_SECONDS = 10
"""Between two parts: what a kill costs at most."""


class Output:
    """What is written so far.

    Args:
        folder: of the parts, which nobody else writes to.

    Attributes:
        codes: the code of each file that is done; None where it was answered.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.codes: dict[str, str | None] = {}
        self._next = 0
        for part in sorted(path for path in folder.iterdir() if _PART.fullmatch(path.name)):
            self._next = max(self._next, int(part.stem.removeprefix("part-")) + 1)
            self._take_over(part)

    @property
    def failed(self) -> Counter[str]:
        """How many files failed, by code."""
        return Counter(code for code in self.codes.values() if code)

    def fill(self, tables: Iterable[pa.Table], advance: Callable[[int], None]) -> None:
        """Writes rows as they come; those of an iteration that breaks off, too.

        Args:
            tables: of rows.
            advance: is told how many rows came.
        """
        waiting: list[pa.Table] = []
        since = monotonic()
        try:
            for table in tables:
                waiting.append(table)
                advance(len(table))
                if monotonic() - since >= _PART_SECONDS:
                    # Emptied first: an interruption may cost rows, which are then made again, but doubles none.
                    part, waiting, since = pa.concat_tables(waiting), [], monotonic()
                    self._add(part)
        finally:
            if waiting:
                self._add(pa.concat_tables(waiting))

    def _add(self, table: pa.Table) -> None:
        self._write(self._folder / f"part-{self._next:06d}.parquet", table)
        self._next += 1
        self._count(table)

    def _take_over(self, part: Path) -> None:
        """Counts what is done; a file that could not be read at all is tried again, as its disk may be back."""
        done = pq.read_table(part, columns=["file", "code"])
        tried = pc.fill_null(pc.not_equal(done["code"], UnreadableFileError.code), True)
        if not pc.all(tried).as_py():
            self._write(part, pq.read_table(part).filter(tried))
        self._count(done.filter(tried))

    def _count(self, table: pa.Table) -> None:
        self.codes.update(zip(table["file"].to_pylist(), table["code"].to_pylist(), strict=True))

    def _write(self, part: Path, table: pa.Table) -> None:
        draft = self._folder / _DRAFT
        with draft.open("wb") as file:
            pq.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(part)


@contextmanager
def opened(folder: Path, run: Mapping[str, Any]) -> Iterator[Output]:
    """The output of a run, new or taken up again, locked as long as it is open.

    Args:
        folder: made if need be.
        run: what must be the same in every row of an output; flat.

    Raises:
        SettingsError: the folder holds something else, or another process writes to it.
    """
    if folder.exists() and not folder.is_dir():
        raise _refused(folder, "is a file", "Name another.")
    folder.mkdir(parents=True, exist_ok=True)
    _check_own(folder)
    with (folder / RUN).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _refused(folder, "another `thorax batch` is writing to", "Wait for it.") from error
        _claim(folder, file, run)
        yield Output(folder)


def _check_own(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    foreign = sorted(name for name in names - {RUN, _DRAFT} if not _PART.fullmatch(name))
    if foreign:
        raise _refused(folder, f"holds {foreign[0]}, which `thorax batch` did not write", "Name a new folder.")
    if RUN not in names and names:
        raise _refused(folder, f"holds parts of an unknown model, without {RUN}", "Name a new folder.")


def _claim(folder: Path, file: TextIO, run: Mapping[str, Any]) -> None:
    file.seek(0)
    text = file.read()
    if not text:
        file.write(json.dumps(run, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
        return
    try:
        before = dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise _refused(folder, f"holds a {RUN} that cannot be read", "Name a new folder.") from error
    differ = [f"{key} {before.get(key)}, now {value}" for key, value in run.items() if before.get(key) != value]
    if differ:
        raise _refused(folder, f"was begun with {'; '.join(differ)}", "They are not mixed: name a new folder.")


def _refused(folder: Path, reason: str, remedy: str) -> SettingsError:
    expected = "expected a new folder or one that the same run has begun"
    return SettingsError(where="OUTPUT", reason=f"{expected}, but {folder} {reason}. {remedy}")
