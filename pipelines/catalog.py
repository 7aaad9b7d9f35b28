"""One table a source, one row an image: whose it is, how it was taken, what is known to be on it."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import DataError
from models.findings import FINDINGS, check_finding
from pipelines.sources import find_source
from pipelines.sources.source import ImageRow, Source
from pipelines.stage import run_stage

SCHEMA = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("drawn", pa.bool_(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=False),
        pa.field("study_id", pa.string()),
        pa.field("view_position", pa.string()),
        pa.field("age_years", pa.float32()),
        pa.field("sex", pa.string()),
        pa.field("split_official", pa.string()),
        *(pa.field(finding, pa.float32()) for finding in FINDINGS),
    ]
)
"""Findings are 1 present, 0 absent, null not labelled. `patient_id` starts with the source's name."""

_ROWS_A_GROUP = 8192


def catalog(source: Source, raw_dir: Path, table: Path) -> int:
    """Writes the source's table and returns how many images it lists; rows are streamed, never held together.

    Raises:
        RawDataMissingError: there is nothing of this source below `raw_dir`.
        UnknownNameError: a row names a finding that the vocabulary lacks.
        DataError: two rows name the same image.
    """
    table.parent.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    with pq.ParquetWriter(table, SCHEMA) as writer:
        for group in _groups(source.rows(raw_dir), _ROWS_A_GROUP):
            for row in group:
                if row.image in seen:
                    raise DataError(reason=f"{source.name} lists {row.image} twice; an image is one row.")
                seen.add(row.image)
            writer.write_table(pa.Table.from_pylist([_record(source, row) for row in group], SCHEMA))
    return len(seen)


def _groups(rows: Iterable[ImageRow], size: int) -> Iterator[list[ImageRow]]:
    iterator = iter(rows)
    while group := list(islice(iterator, size)):
        yield group


def _record(source: Source, row: ImageRow) -> dict[str, Any]:
    return {
        "image": row.image,
        "source": source.name,
        "drawn": source.drawn,
        "patient_id": f"{source.name}:{row.patient_id}",
        "study_id": row.study_id,
        "view_position": row.view_position,
        "age_years": row.age_years,
        "sex": row.sex,
        "split_official": row.split_official,
        **{check_finding(finding): float(value) for finding, value in row.findings.items()},
    }


def main(source: str, raw_dir: str, table: str) -> None:
    """`python -m pipelines.catalog SOURCE RAW_DIR TABLE`."""
    catalog(find_source(source), Path(raw_dir), Path(table))


if __name__ == "__main__":
    run_stage(main)
