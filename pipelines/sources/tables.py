"""Publishers' tables as text, row by row, with the columns checked first."""

import csv
import io
from collections.abc import Collection, Iterator

from models.errors import TableError
from pipelines.raw import RawFiles


def read_table(raw: RawFiles, path: str, columns: Collection[str], delimiter: str = ",") -> Iterator[dict[str, str]]:
    """The rows of a table with a header, values stripped; a cell that is not there is an empty string.

    Args:
        raw: holds the table.
        path: of the table.
        columns: that have to be there; others may.
        delimiter: between cells.

    Raises:
        TableError: the table is not there, is no text or lacks a column.
    """
    reader = csv.DictReader(io.StringIO(read_text(raw, path), newline=""), delimiter=delimiter, restval="")
    header = [name.strip() for name in reader.fieldnames or []]
    missing = [column for column in columns if column not in header]
    if missing:
        raise TableError(
            table=path, expected=f"the columns {', '.join(missing)}", received=", ".join(header)[:300] or "no header"
        )
    reader.fieldnames = header
    try:
        for row in reader:
            yield {name: (value or "").strip() for name, value in row.items() if name is not None}
    except csv.Error as error:
        raise TableError(table=path, expected="a table of text", received=f"one that breaks off ({error})") from error


def read_text(raw: RawFiles, path: str) -> str:
    """A text of the publisher, in UTF-8 with or without mark, or else in Windows' Western code page.

    Raises:
        TableError: it is not there.
    """
    try:
        data = raw.read(path)
    except OSError as error:
        raise TableError(table=path, expected="a readable file", received=error.strerror) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def number(text: str) -> float | None:
    """The number that a cell begins with ("058Y" is 58), None where it holds none."""
    digits = text.strip().rstrip("yYrs. ")
    try:
        return float(digits)
    except ValueError:
        return None


def sex(text: str) -> str | None:
    """Of "male", "F", "f", ...: "M" or "F"; None for anything else."""
    return {"m": "M", "male": "M", "f": "F", "female": "F"}.get(text.strip().lower())
