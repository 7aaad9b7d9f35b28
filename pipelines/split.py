"""Divides the labelled images of a task by group: train, validation, calibration, test, and external where asked."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import LabelsError
from models.findings import Task, TaskKind, find_task
from pipelines.leakage import check_apart
from pipelines.params import Split, load_params
from pipelines.stage import run_stage

SPLITS = ("train", "validation", "calibration", "test", "external")
_GOLDEN_RATIO = (5**0.5 - 1) / 2  # its multiples, modulo 1, spread most evenly (Weyl)
_ABOUT = ("image", "source", "drawn", "group", "view_position", "age_years", "sex", "split_official", "sha256")
_SMOOTHED = (0.55, 0.85)  # Pham et al. 2021, U-Ones with label smoothing


def split(
    settings: Split, task: Task, images: pd.DataFrame, groups: pd.DataFrame, sources: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images that have a label of the task, each with its split; and the others, each with its reason.

    Within each source, groups are ordered by their labels, then by a keyed hash, and dealt out in the asked shares. So
    a group is in one split, each finding is spread evenly, and neither the order of rows matters nor a source that is
    added later, but to groups that it connects. A publisher's own test and validation images keep their split, and
    their groups with them.

    Args:
        settings: the split section of params.yaml.
        task: whose findings are the labels.
        images: the catalogs' rows of all sources.
        groups: of the audit.
        sources: in the order of params.yaml.

    Returns:
        The columns image, source, drawn, group, view_position, age_years, sex, split_official, sha256, the task's
        findings and `split`, sorted by source and image; and the columns source, image, code of those left out.

    Raises:
        LabelsError: no image has a label of the task, or a split that is asked for holds none.
    """
    rows = images.merge(groups, on=["source", "image"], validate="one_to_one")
    reasons = pd.Series("", index=rows.index)
    reasons[~_labelled(rows, task, settings.uncertain != "ignore")] = "no_label"
    reasons[rows["excluded"].notna()] = rows["excluded"]
    candidates = rows[reasons == ""]
    if candidates.empty:
        raise LabelsError(task=task.name, reason="expected labelled images, but no source in params.yaml labels it.")
    rows["split"] = rows["group"].map(_official(settings, candidates, _assigned(settings, task, candidates)))
    reasons[(rows["split"] == "external") & ~rows["source"].isin(settings.external) & (reasons == "")] = (
        "belongs_to_external"
    )
    rows = _with_uncertain(rows, settings, task)
    reasons[~_labelled(rows, task) & (reasons == "")] = "no_label"
    kept = rows[reasons == ""].sort_values(["source", "image"], ignore_index=True)
    _check_asked(settings, task, kept)
    left_out = rows[["source", "image"]].assign(code=reasons)[reasons != ""]
    return kept[[*_ABOUT, *task.findings, "split"]], left_out.sort_values(["source", "image"], ignore_index=True)


def _labelled(rows: pd.DataFrame, task: Task, or_uncertain: bool = False) -> pd.Series:
    known = rows[list(task.findings)].notna()
    if task.kind is TaskKind.MULTICLASS:
        return known.all(axis=1)
    unclear = rows["uncertain"].map(lambda names: bool(or_uncertain and set(names) & set(task.findings)))
    return known.any(axis=1) | unclear


def _assigned(settings: Split, task: Task, rows: pd.DataFrame) -> pd.Series:
    """The split of each group."""
    # What its home source alone would make of it; a group that only other sources label is dealt by itself.
    labelled_at_home = (rows["source"] == rows["home"]).groupby(rows["group"]).transform("any")
    rows = rows[(rows["source"] == rows["home"]) | ~labelled_at_home]
    units = rows.assign(unit=rows["part"].where(rows["source"] == rows["home"], rows["group"]))
    dealt = pd.concat([_dealt(settings, task, of_home) for _, of_home in units.groupby(["home", labelled_at_home])])
    first = units.groupby("group")["unit"].min()
    return pd.Series(dealt.loc[first].to_numpy(), index=first.index)


def _dealt(settings: Split, task: Task, rows: pd.DataFrame) -> pd.Series:
    """The split of each unit of one source."""
    of_unit = rows.groupby("unit")
    official = {name: (rows["split_official"] == name).groupby(rows["unit"]).any() for name in ("test", "validation")}
    units = pd.DataFrame(official)
    units["labels"] = of_unit[list(task.findings)].max().fillna(-1).astype(int).astype(str).agg("".join, axis=1)
    units["order"] = [_keyed(settings.key, unit) for unit in units.index]
    free = units[~units["test"] & ~units["validation"]].sort_values(["labels", "order"])
    assigned = pd.Series("test", index=units.index).mask(units["validation"] & ~units["test"], "validation")
    assigned[free.index] = _deal(settings, len(free), bool(units["test"].any()), bool(units["validation"].any()))
    return assigned


def _official(settings: Split, rows: pd.DataFrame, assigned: pd.Series) -> pd.Series:
    """The splits of groups, where a publisher's own lists and external sources have the last word."""
    for official in ("validation", "test"):
        assigned = assigned.mask(assigned.index.isin(rows[rows["split_official"] == official]["group"]), official)
    return assigned.mask(assigned.index.isin(rows[rows["source"].isin(settings.external)]["group"]), "external")


def _deal(settings: Split, count: int, has_test: bool, has_validation: bool) -> NDArray[np.str_]:
    """Splits in the asked shares, spread so evenly that every run of neighbours has nearly those shares too."""
    spread = (np.arange(count) + 0.5) * _GOLDEN_RATIO % 1
    shares = [0.0 if has_test else settings.test, 0.0 if has_validation else settings.validation, settings.calibration]
    names = np.array(["test", "validation", "calibration", "train"])
    return names[np.searchsorted(np.cumsum(shares), spread, side="right")]


def _with_uncertain(rows: pd.DataFrame, settings: Split, task: Task) -> pd.DataFrame:
    """Labels of training images that are uncertain, as the policy says; elsewhere they stay unknown."""
    if settings.uncertain == "ignore" or task.kind is TaskKind.MULTICLASS:
        return rows
    rows = rows.copy()
    for finding in task.findings:
        unclear = (rows["split"] == "train") & rows["uncertain"].map(lambda names, wanted=finding: wanted in set(names))
        names = [f"{source}/{image}/{finding}" for source, image in rows.loc[unclear, ["source", "image"]].to_numpy()]
        rows.loc[unclear, finding] = [_uncertain_label(settings, name) for name in names]
    return rows


def _uncertain_label(settings: Split, name: str) -> float:
    if settings.uncertain != "smoothed_ones":
        return float(settings.uncertain == "ones")
    chance = int.from_bytes(_keyed(settings.key, name)[:6]) / 2**48
    return _SMOOTHED[0] + (_SMOOTHED[1] - _SMOOTHED[0]) * chance


def _check_asked(settings: Split, task: Task, rows: pd.DataFrame) -> None:
    asked = ["train", *(part for part in ("validation", "calibration", "test") if getattr(settings, part) > 0)]
    for part in [*asked, *(["external"] if settings.external else [])]:
        if not (rows["split"] == part).any():
            raise LabelsError(
                task=task.name, reason=f"too few groups ({rows['group'].nunique()}) for the split {part}."
            )


def _keyed(key: str, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=key.encode()[:64]).digest()


def main(task: str, catalogs: str, groups: str, ledger: str, table: str, listing: str) -> None:
    """`python -m pipelines.split TASK CATALOGS GROUPS LEDGER TABLE LISTING`."""
    params = load_params()
    images = pd.concat([pd.read_parquet(Path(catalogs) / f"{source}.parquet") for source in params.sources])
    rows, left_out = split(params.split, find_task(task), images, pd.read_parquet(groups), params.sources)
    check_apart(rows, images, pd.read_parquet(ledger))
    Path(table).parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(table, index=False)
    left_out.to_csv(listing, index=False)


if __name__ == "__main__":
    run_stage(main)
