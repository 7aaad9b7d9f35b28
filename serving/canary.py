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

_WINDOW = 10_000
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
    if _DEFLATED not in data:
        try:
            dataset = dcmread(BytesIO(data), force=True, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
            uid = dataset.get_item("StudyInstanceUID")
            if uid is not None and isinstance(uid.value, bytes) and (text := uid.value.strip(b" \0")):
                return text
        except Exception:  # noqa: S110  # whoever reads the radiograph says what is wrong with it
            pass
    return hashlib.sha256(data).digest()


class Outcome(NamedTuple):
    """An answer: whether it is the canary's, whether it failed, and the seconds it took."""

    of_canary: bool
    failed: bool
    seconds: float


class Guard:
    """Compares what a canary does with what production does at the same time.

    Args:
        settings: `canary_max_failures`, `canary_max_slowdown` and `canary_min_answers`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: deque[Outcome] = deque(maxlen=_WINDOW)

    def add(self, outcome: Outcome) -> None:
        """One more answer of either."""
        self._last.append(outcome)

    def verdict(self) -> str | None:
        """Why the canary has to stop; None while it has not.

        Of the last answers of both together, it stops where at least three of its own failed and their share is above
        production's by more than `canary_max_failures`; or where, after `canary_min_answers` of both, its median answer
        takes more than `canary_max_slowdown` times as long as production's.
        """
        own, other = ([one for one in self._last if one.of_canary is so] for so in (True, False))
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
