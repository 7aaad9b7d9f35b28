"""What was in production, since when, by whom and why: entries that are signed and each name the one before.

An entry holds the aliases after it, so that the last entry says what serves. Entries are only ever added. Two who add
at once both name the same entry before theirs: the first to arrive counts, the other is told. A removed entry leaves a
gap, a changed one no longer has the hash that the next one names, and neither can be signed again without the key.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from models.errors import HistoryError

CANARY = "canary"
BEGINNING = "0" * 64
"""What the first entry names as the one before it."""


class Action(StrEnum):
    """Why an entry was added."""

    REGISTER = "register"
    PROMOTE = "promote"
    WITHDRAW = "withdraw"
    ROLLBACK = "rollback"
    IMPORT = "import"
    PRUNE = "prune"


class Entry(BaseModel):
    """One change of a model's aliases.

    Attributes:
        sequence: counts from 1.
        at: when, in UTC; never before the entry before, even where a clock was set back.
        by: who.
        action: what was done.
        version: to which version.
        digest: of its bundle.
        reason: in the words of whoever did it.
        failed_gates: that were overridden.
        percent: of the studies that a canary takes; None where the entry is about something else.
        aliases: each alias and the version it points to after this entry.
        previous: the hash of the entry before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sequence: int
    at: AwareDatetime
    by: str
    action: Action
    version: str
    digest: str
    reason: str = ""
    failed_gates: tuple[str, ...] = ()
    percent: int | None = None
    aliases: dict[str, str]
    previous: str

    def text(self) -> str:
        """What is stored, hashed and signed: JSON with sorted keys, no spaces and nothing that is None."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True, separators=(",", ":"))

    def fingerprint(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it lies in the registry.

    Attributes:
        number: the place in the order of arrival, from 1.
        text: of the entry.
        signature: of the text, base64.
    """

    number: int
    text: str
    signature: str


def read_history(name: str, stored: Sequence[Stored], is_signed: Callable[[str, str], bool]) -> list[Entry]:
    """The entries that count, oldest first; those who came second in a race are passed over.

    Args:
        name: of the model, for the error.
        stored: in the order of arrival.
        is_signed: whether somebody who is trusted signed a text, given the text and the signature.

    Raises:
        HistoryError: an entry was removed, changed, is of nobody who is trusted, or cannot be read.
    """
    entries: list[Entry] = []
    digests = [BEGINNING]
    for place, one in enumerate(stored, start=1):
        if one.number != place:
            raise HistoryError(name=name, reason=f"entry {place} of those that arrived is missing")
        if not is_signed(one.text, one.signature):
            raise HistoryError(name=name, reason=f"entry {one.number} is not as a trusted key signed it")
        entry = _parse(name, one)
        if entry.previous not in digests:
            raise HistoryError(name=name, reason=f"entry {one.number} does not follow any entry that is there")
        if entry.previous == digests[-1]:
            entries.append(entry)
            digests.append(entry.fingerprint())
    return entries


def _parse(name: str, stored: Stored) -> Entry:
    try:
        return Entry.model_validate_json(stored.text)
    except ValidationError as error:
        reason = f"entry {stored.number} cannot be read: {error.errors()[0]['msg']}"
        raise HistoryError(name=name, reason=reason) from error


def describe(entry: Entry) -> str:
    """One line about an entry, for people."""
    over = f", over the failed gates {', '.join(entry.failed_gates)}" if entry.failed_gates else ""
    because = f": {entry.reason}" if entry.reason else ""
    share = f", a canary for {entry.percent} %" if entry.percent is not None else ""
    return f"{entry.at:%Y-%m-%d %H:%M:%S} {entry.action} version {entry.version} by {entry.by}{share}{over}{because}"


def aliases_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Each alias and the version it points to now."""
    return dict(entries[-1].aliases) if entries else {}


def version_at(entries: Sequence[Entry], alias: str, when: datetime) -> str | None:
    """The version that an alias pointed to at a time; None where it pointed to none."""
    until = [entry for entry in entries if entry.at <= when]
    return aliases_of(until).get(alias)


class Trial(NamedTuple):
    """A canary: the version, the percentage of studies that it takes, and the number of the entry that says so."""

    version: str
    percent: int
    since: int


def trial_of(entries: Sequence[Entry]) -> Trial | None:
    """The canary that the entries leave; None where there is none, or none whose percentage is known."""
    version = aliases_of(entries).get(CANARY)
    begun = next((entry for entry in reversed(entries) if entry.percent is not None), None)
    if version is None or begun is None or begun.percent is None or begun.version != version:
        return None
    return Trial(version, begun.percent, begun.sequence)
