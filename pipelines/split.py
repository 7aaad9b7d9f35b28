"""Divides the labelled patients of a task: train, validation, calibration, test."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import LabelsError
from models.findings import Task, TaskKind, find_task
from pipelines.params import Split, load_params
from pipelines.stage import run_stage

_GOLDEN_RATIO = (5**0.5 - 1) / 2  # its multiples, modulo 1, spread most evenly (Weyl)
SPLITS = ("train", "validation", "calibration", "test")


def split(settings: Split, task: Task, tables: list[Path], unreadable: list[Path]) -> pd.DataFrame:
    """The readable images that have a label of the task, each with its split.

    Within each source, patients are ordered by their labels, then by a keyed hash, and dealt out in the asked shares.
    So a patient is in one split, each finding is spread evenly, and neither the order of rows nor another source
    matters. A publisher's own test patients are the test split of their source.

    Args:
        settings: the split section of params.yaml.
        task: whose findings are the labels.
        tables: the sources' catalogs.
        unreadable: the sources' lists of images that `prepare` could not read.

    Returns:
        The catalogs' columns, findings reduced to the task's, and `split`; sorted by source and image.

    Raises:
        LabelsError: no image has a label of the task, or a split that is asked for holds none.
    """
    rows = pd.concat([_readable(table, listing) for table, listing in zip(tables, unreadable, strict=True)])
    rows = _labelled(rows, task)
    if rows.empty:
        raise LabelsError(task=task.name, reason="expected labelled images, but no source in params.yaml labels it.")
    parts = [_split_source(settings, task, of_source) for _, of_source in rows.groupby("source")]
    rows = pd.concat(parts).sort_values(["source", "image"], ignore_index=True)
    for part in SPLITS:
        asked = part == "train" or getattr(settings, part) > 0
        if asked and not (rows["split"] == part).any():
            raise LabelsError(
                task=task.name, reason=f"too few patients ({rows.patient_id.nunique()}) for a {part} split."
            )
    return rows


def _readable(table: Path, listing: Path) -> pd.DataFrame:
    rows = pd.read_parquet(table)
    return rows[~rows["image"].isin(pd.read_csv(listing)["image"])]


def _labelled(rows: pd.DataFrame, task: Task) -> pd.DataFrame:
    about = ["image", "source", "drawn", "patient_id", "view_position", "age_years", "sex", "split_official"]
    rows = rows[[*about, *task.findings]]
    known = rows[list(task.findings)].notna()
    return rows[known.all(axis=1) if task.kind is TaskKind.MULTICLASS else known.any(axis=1)]


def _split_source(settings: Split, task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    by_patient = rows.assign(official=rows["split_official"] == "test").groupby("patient_id")
    patients = by_patient[["official"]].any()
    present = by_patient[list(task.findings)].max()
    patients["labels"] = present.fillna(-1).astype(int).astype(str).agg("".join, axis=1)
    patients["order"] = [_keyed(settings.key, patient) for patient in patients.index]
    free = patients[~patients["official"]].sort_values(["labels", "order"])
    assigned = pd.Series("test", index=patients.index)
    assigned[free.index] = _deal(settings, len(free), without_test=bool(patients["official"].any()))
    return rows.assign(split=rows["patient_id"].map(assigned))


def _deal(settings: Split, count: int, without_test: bool) -> NDArray[np.str_]:
    """Splits in the asked shares, spread so evenly that every run of neighbours has nearly those shares too."""
    spread = (np.arange(count) + 0.5) * _GOLDEN_RATIO % 1
    bounds = np.cumsum([0.0 if without_test else settings.test, settings.validation, settings.calibration])
    return np.array(["test", "validation", "calibration", "train"])[np.searchsorted(bounds, spread, side="right")]


def _keyed(key: str, patient: str) -> bytes:
    return hashlib.blake2b(patient.encode(), key=key.encode()[:64]).digest()


def main(task: str, catalog: str, unreadable: str, table: str) -> None:
    """`python -m pipelines.split TASK CATALOG UNREADABLE TABLE`."""
    params = load_params()
    tables = [Path(catalog) / f"{source}.parquet" for source in params.sources]
    listings = [Path(unreadable) / f"{source}.csv" for source in params.sources]
    rows = split(params.split, find_task(task), tables, listings)
    Path(table).parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(table, index=False)


if __name__ == "__main__":
    run_stage(main)
