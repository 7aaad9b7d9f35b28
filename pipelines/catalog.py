"""One table a source, one row an image: whose it is, how it was taken, what is known to be on it.

What is left out is listed beside it: every image that was read is in the one or in the other.
"""

from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import DataError
from models.findings import FINDINGS, check_finding
from pipelines.pseudonyms import Pseudonyms, load_pseudonyms
from pipelines.raw import RawFiles
from pipelines.shards import read_columns
from pipelines.sources import find_source
from pipelines.sources.card import Card, load_card
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.stage import run_stage

_BOX = pa.struct([("finding", pa.string()), *((side, pa.float32()) for side in ("left", "top", "width", "height"))])
_MASK = pa.struct([("finding", pa.string()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("drawn", pa.bool_(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=False),
        pa.field("study_id", pa.string()),
        pa.field("copy_of", pa.string()),
        pa.field("view_position", pa.string()),
        pa.field("age_years", pa.float32()),
        pa.field("sex", pa.string()),
        pa.field("split_official", pa.string()),
        pa.field("boxes", pa.list_(_BOX)),
        pa.field("masks", pa.list_(_MASK)),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("perceptual_hash", pa.string(), nullable=False),
        pa.field("uncertain", pa.list_(pa.string())),
        *(pa.field(finding, pa.float32()) for finding in FINDINGS),
    ]
)
"""Findings are 1 present, 0 absent, null not labelled; those that the publisher calls uncertain are null and named in
`uncertain`. `patient_id` and `study_id` are keyed hashes, `copy_of` is "source/name". Boxes are shares of width and
height."""

MAX_AGE_YEARS = 120
_VIEWS = ("PA", "AP")
_SEXES = ("M", "F")
_SPLITS = ("train", "validation", "test")


def _column(*checks: pandera.Check, null: bool = True) -> pandera.Column:
    return pandera.Column(checks=list(checks), nullable=null)


def _pattern(pattern: str) -> pandera.Check:
    return pandera.Check.str_matches(pattern)


TABLE = pandera.DataFrameSchema(
    {
        "image": pandera.Column(str, unique=True),
        "source": pandera.Column(str),
        "drawn": pandera.Column(bool),
        "patient_id": _column(_pattern(r"^[0-9a-f]{32}$"), null=False),
        "study_id": _column(_pattern(r"^[0-9a-f]{32}$")),
        "copy_of": _column(_pattern(r"^[a-z0-9_]+/")),
        "view_position": _column(pandera.Check.isin(_VIEWS)),
        "age_years": _column(pandera.Check.in_range(0, MAX_AGE_YEARS)),
        "sex": _column(pandera.Check.isin(_SEXES)),
        "split_official": _column(pandera.Check.isin(_SPLITS)),
        "boxes": _column(),
        "masks": _column(),
        "width": _column(pandera.Check.ge(1), null=False),
        "height": _column(pandera.Check.ge(1), null=False),
        "sha256": _column(_pattern(r"^[0-9a-f]{64}$"), null=False),
        "perceptual_hash": _column(_pattern(r"^[0-9a-f]{16}$"), null=False),
        "uncertain": _column(),
        **{finding: _column(pandera.Check.isin([0.0, 1.0])) for finding in FINDINGS},
    },
    strict=True,
    ordered=True,
)
"""What every catalog meets, whoever wrote its source."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the catalog does not take over.

    Attributes:
        image: path below the raw folder, or what a row calls it.
        scope: "image" where an image that was read is left out, "row" where only what a row says is, for there is no
            such image or another row says the same, "value" where the image stays without it.
        code: the kind of reason.
        reason: for a reader; names no patient.
    """

    image: str
    scope: str
    code: str
    reason: str


def catalog(
    source: Source, raw: RawFiles, card: Card, shards: Path, pseudonyms: Pseudonyms
) -> tuple[pa.Table, list[LeftOut]]:
    """The source's table, and what was left out of it; images in the table and images left out add up to those read.

    Args:
        source: to ask for rows.
        raw: its files.
        card: of the source.
        shards: of the source, for what its images say of themselves.
        pseudonyms: for patients and studies.

    Raises:
        UnknownNameError: a row names a finding that the vocabulary lacks.
        DataError: the table does not meet its schema.
        TableError: a table of the publisher lacks a column or cannot be read.
    """
    facts = _facts(shards)
    rows, left_out = _sorted_out(source, raw, card, facts)
    records = []
    for row in rows:
        record, remarks = _record(source, _completed(row, facts[row.image]), facts[row.image], pseudonyms)
        records.append(record)
        left_out += remarks
    table = pa.Table.from_pylist(records, SCHEMA)
    _check(source.name, table)
    return table, left_out


def _check(source: str, table: pa.Table) -> None:
    try:
        TABLE.validate(table.to_pandas(), lazy=True)
    except pandera.errors.SchemaErrors as error:
        wrong = error.failure_cases.groupby(["column", "check"], dropna=False).size()
        named = "; ".join(f"{count} values of {column} fail {check}" for (column, check), count in wrong.items())
        raise DataError(
            reason=f"The catalog of {source} does not meet its schema: {named}. Mend pipelines/sources/{source}.py."
        ) from error


def _facts(shards: Path) -> dict[str, dict[str, Any]]:
    columns = ("image", "sha256", "perceptual_hash", "width", "height", "view_position", "age_years", "sex")
    tables = read_columns(shards, (*columns, "refused_code", "refused_reason"))
    return {row["image"]: row for table in tables for row in table.to_pylist()}


def _sorted_out(
    source: Source, raw: RawFiles, card: Card, facts: dict[str, dict[str, Any]]
) -> tuple[list[ImageRow], list[LeftOut]]:
    """A row for each image that has one and can be read, in the source's order, and the others with their reasons."""
    said: dict[str, list[ImageRow | Exclusion]] = {}
    for item in source.rows(raw, card):
        said.setdefault(item.image, []).append(item)
    rows: list[ImageRow] = []
    left_out: list[LeftOut] = []
    for image, items in said.items():
        kept, reasons = _judged(items, facts.get(image))
        rows += kept
        left_out += reasons
    without_row = sorted(set(facts) - set(said))
    reason = "no table of the publisher names it"
    left_out += [LeftOut(image, "image", "image_without_row", reason) for image in without_row]
    return rows, left_out


def _judged(items: list[ImageRow | Exclusion], facts: dict[str, Any] | None) -> tuple[list[ImageRow], list[LeftOut]]:
    """The one row of an image, or why there is none."""
    first = items[0]
    for item in items:
        if isinstance(item, Exclusion):
            return [], [LeftOut(item.image, "image" if facts else "row", item.code, item.reason)]
    if facts is None:
        return [], [LeftOut(first.image, "row", "row_without_image", "its file is not there")]
    if facts["refused_code"]:
        return [], [LeftOut(first.image, "image", facts["refused_code"], facts["refused_reason"])]
    if any(item != first for item in items):
        return [], [LeftOut(first.image, "image", "contradiction", f"{len(items)} rows say different things of it")]
    if (facts["view_position"] or "").startswith(("L", "RL")):
        return [], [LeftOut(first.image, "image", "not_frontal", f"its header says view {facts['view_position']}")]
    repeated = LeftOut(first.image, "row", "repeated_row", "another row says the same of it")
    return [row for row in items[:1] if isinstance(row, ImageRow)], [repeated] * (len(items) - 1)


def _completed(row: ImageRow, facts: dict[str, Any]) -> ImageRow:
    """The row, with what only the file's header says."""
    return replace(
        row,
        view_position=row.view_position or _one_of(facts["view_position"], _VIEWS),
        age_years=facts["age_years"] if row.age_years is None else row.age_years,
        sex=row.sex or _one_of(facts["sex"], _SEXES),
    )


def _one_of(value: str | None, allowed: tuple[str, ...]) -> str | None:
    return value if value in allowed else None


def _record(
    source: Source, row: ImageRow, facts: dict[str, Any], pseudonyms: Pseudonyms
) -> tuple[dict[str, Any], list[LeftOut]]:
    issuer = row.patient_source or source.name
    age, remarks = row.age_years, []
    if age is not None and not 0 <= age <= MAX_AGE_YEARS:
        reason = f"an age of {age:g} years is none; expected 0 to {MAX_AGE_YEARS}"
        age, remarks = None, [LeftOut(row.image, "value", "age_out_of_range", reason)]
    record = {
        "image": row.image,
        "source": source.name,
        "drawn": source.drawn,
        "patient_id": pseudonyms.of("patient", issuer, row.patient_id),
        "study_id": pseudonyms.of("study", issuer, row.study_id) if row.study_id else None,
        "copy_of": "/".join(row.copy_of) if row.copy_of else None,
        "view_position": row.view_position,
        "age_years": age,
        "sex": row.sex,
        "split_official": row.split_official,
        "boxes": [asdict(box) | {"finding": check_finding(box.finding)} for box in row.boxes],
        "masks": [{"finding": check_finding(finding), "path": path} for finding, path in row.masks.items()],
        "uncertain": [check_finding(finding) for finding in row.uncertain],
        **{name: facts[name] for name in ("width", "height", "sha256", "perceptual_hash")},
        **{check_finding(finding): float(value) for finding, value in row.findings.items()},
    }
    return record, remarks


def write_rows(rows: pa.Table, left_out: list[LeftOut], table: Path, listing: Path) -> None:
    """Writes the table as parquet, and what was left out as CSV with the columns image, scope, code, reason."""
    table.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, table)
    columns = [field.name for field in fields(LeftOut)]
    pd.DataFrame([astuple(item) for item in left_out], columns=columns).to_csv(listing, index=False)


def main(source: str, raw_dir: str, card: str, shards: str, key: str, table: str, listing: str) -> None:
    """`python -m pipelines.catalog SOURCE RAW_DIR CARD SHARDS KEY TABLE LISTING`."""
    found, pseudonyms = find_source(source), load_pseudonyms(Path(key))
    rows, left_out = catalog(found, RawFiles(Path(raw_dir)), load_card(Path(card)), Path(shards), pseudonyms)
    write_rows(rows, left_out, Path(table), Path(listing))


if __name__ == "__main__":
    run_stage(main)
