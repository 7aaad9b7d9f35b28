"""Which studies a canary answers about, and when it has to stop."""

import hashlib
from collections import deque
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from pydicom import dcmread

from serving.lineup import Canary, lineup_path
from serving.settings import Settings

_WINDOW = 1_000
_FEWEST_FAILURES = 3
"""One failure may be the machine's."""
_DEFLATED = b"1.2.840.10008.1.2.1.99"  # pydicom inflates without a limit
_STEPS = 10_000


def takes(canary: Canary, data: bytes) -> bool:
    """Whether a canary answers about a file: always the same for all files of a study, whatever its percentage before.

    A study is known by its Study Instance UID (0020,000D); a file without one is a study of its own. Another canary
    takes other studies, so that no study is always among the first to get something new.

    Args:
        canary: the one in trial.
        data: the whole file, of any kind.
    """
    text = hashlib.sha256(canary.standing.name.digest.encode() + _study(data)).digest()
    return int.from_bytes(text[:8]) % _STEPS < canary.percent * _STEPS // 100


def _study(data: bytes) -> bytes:
    if data[128:132] == b"DICM" and _DEFLATED not in data[:4096]:
        try:
            dataset = dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
            uid = dataset.get_item("StudyInstanceUID")
        except Exception:  # whoever reads the radiograph says what is wrong with it
            uid = None
        if uid is not None and uid.value:
            return bytes(uid.value) if isinstance(uid.value, bytes) else str(uid.value).encode()
    return hashlib.sha256(data).digest()


class Outcome(NamedTuple):
    """Whether an answer failed, and the seconds it took."""

    failed: bool
    seconds: float


class Guard:
    """Compares what a canary does with what production does meanwhile.

    Args:
        settings: `canary_max_failures`, `canary_max_slowdown` and `canary_min_answers`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._canary: deque[Outcome] = deque(maxlen=_WINDOW)
        self._production: deque[Outcome] = deque(maxlen=_WINDOW)

    def add(self, outcome: Outcome, of_canary: bool) -> None:
        """One more answer of either."""
        (self._canary if of_canary else self._production).append(outcome)

    def verdict(self) -> str | None:
        """Why the canary has to stop; None while it has not.

        It stops where at least three of its last answers failed and their share is above production's by more than
        `canary_max_failures`; or where, after `canary_min_answers` of both, its median answer takes more than
        `canary_max_slowdown` times as long as production's.
        """
        own, other = self._canary, self._production
        failures, expected = sum(one.failed for one in own), sum(one.failed for one in other)
        share = failures / max(len(own), 1)
        if failures >= _FEWEST_FAILURES and share - expected / max(len(other), 1) > self._settings.canary_max_failures:
            return f"{failures} of its last {len(own)} answers failed, of production's {expected} of {len(other)}"
        if min(len(own), len(other)) < self._settings.canary_min_answers:
            return None
        slow, usual = (median(one.seconds for one in side) for side in (own, other))
        if slow > usual * self._settings.canary_max_slowdown:
            return f"its median answer takes {slow:.3f} s, production's {usual:.3f} s"
        return None


class Stop(BaseModel):
    """That a canary has stopped.

    Attributes:
        name: of the model.
        since: the canary's own.
        reason: in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    since: int
    reason: str


def write_stop(settings: Settings, stop: Stop) -> None:
    """Writes down that a canary has stopped, for the follower, and for this service after a restart."""
    path = _stop_path(settings, stop.name)
    draft = path.with_suffix(".draft")
    draft.write_text(stop.model_dump_json(), encoding="utf-8")
    draft.replace(path)


def read_stop(settings: Settings, canary: Canary) -> Stop | None:
    """That this canary has stopped; None where it has not, or where another one or an earlier trial did."""
    try:
        text = _stop_path(settings, canary.standing.name.name).read_text(encoding="utf-8")
        stop = Stop.model_validate_json(text)
    except (OSError, ValidationError):
        return None
    return stop if stop.since == canary.since else None


def _stop_path(settings: Settings, name: str) -> Path:
    return lineup_path(settings).with_suffix(f".{name}.stopped")
