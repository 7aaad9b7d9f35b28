"""What readers say about findings that were answered, without a trace of whose they were."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from serving.schemas import Verdict

_TABLE = "CREATE TABLE IF NOT EXISTS verdicts (prediction_id TEXT, finding TEXT, verdict TEXT, given_at TEXT)"


class FeedbackLog:
    """The log in a folder; of several verdicts on a finding of an answer, all are kept.

    Args:
        folder: the registry's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "feedback.db"

    def add(self, verdict: Verdict) -> None:
        """One verdict more, given now."""
        row = (str(verdict.prediction_id), verdict.finding, verdict.verdict, datetime.now(UTC).isoformat())
        with closing(sqlite3.connect(self._path, timeout=60)) as log, log:
            log.execute(_TABLE)
            log.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?)", row)
