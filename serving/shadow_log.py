"""What a shadow and production answered about the same radiographs, without a trace of whose they were."""

import sqlite3
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from serving.schemas import FindingAnswer

_MAX_ROWS = 1_000_000
"""A row a finding; the oldest go."""
_TABLE = """CREATE TABLE IF NOT EXISTS pairs (
    hour INTEGER, radiograph TEXT, model TEXT, production TEXT, shadow TEXT, finding TEXT,
    production_probability REAL, shadow_probability REAL, production_present INTEGER, shadow_present INTEGER,
    production_seconds REAL, shadow_seconds REAL)"""


class Pair(NamedTuple):
    """What production and its shadow say about a finding of one radiograph."""

    finding: str
    production: FindingAnswer
    shadow: FindingAnswer


class ShadowLog:
    """The log in a folder.

    Args:
        folder: the registry's, where `compare` looks for it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "shadow.db"

    def add(
        self, model: str, versions: tuple[str, str], pairs: Sequence[Pair], seconds: float, shadow_seconds: float
    ) -> None:
        """One radiograph more.

        Args:
            model: its name.
            versions: the digests of production and shadow.
            pairs: of each finding that both answer.
            seconds: that production took.
            shadow_seconds: that the shadow took.
        """
        hour, radiograph = int(time.time()) // 3600 * 3600, uuid.uuid4().hex  # no finer: other logs have seconds, too
        rows = [
            (
                hour,
                radiograph,
                model,
                *versions,
                finding,
                a.probability,
                b.probability,
                a.present,
                b.present,
                seconds,
                shadow_seconds,
            )
            for finding, a, b in pairs
        ]
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute(_TABLE)
            database.executemany("INSERT INTO pairs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.execute("DELETE FROM pairs WHERE rowid <= (SELECT MAX(rowid) FROM pairs) - ?", (_MAX_ROWS,))

    def read(self, model: str, production: str, shadow: str) -> pd.DataFrame:
        """Every row about these two digests, in the columns of the table; empty where there is none."""
        if not self._path.exists():
            return pd.DataFrame()
        with closing(sqlite3.connect(self._path)) as database:
            database.execute(_TABLE)
            query = "SELECT * FROM pairs WHERE model = ? AND production = ? AND shadow = ?"
            return pd.read_sql_query(query, database, params=(model, production, shadow))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """How two versions differed on the same radiographs.

    Args:
        rows: of `ShadowLog.read`, not empty.

    Returns:
        A row for each finding: `radiographs`; `agreement`, the share on which both call it present or both absent, with
        `low` and `high` of its 95 % interval (Wilson); `present_production` and `present_shadow`, shares;
        `difference`, the mean of the shadow's probability less production's; `distance`, the mean of its size.
    """
    from scipy.stats import binomtest

    rows = rows.assign(
        agreement=rows["production_present"] == rows["shadow_present"],
        difference=rows["shadow_probability"] - rows["production_probability"],
    )
    rows["distance"] = rows["difference"].abs()
    of = rows.groupby("finding", sort=False)
    table = of[["agreement", "production_present", "shadow_present", "difference", "distance"]].mean()
    table.insert(0, "radiographs", of.size())
    counts = zip(of["agreement"].sum(), of.size(), strict=True)
    intervals = [binomtest(int(agreed), int(all_)).proportion_ci(method="wilson") for agreed, all_ in counts]
    table.insert(2, "low", [interval.low for interval in intervals])
    table.insert(3, "high", [interval.high for interval in intervals])
    return table.rename(
        columns={"production_present": "present_production", "shadow_present": "present_shadow"}
    ).reset_index()
