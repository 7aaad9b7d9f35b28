"""The histories of models in a store: read as a whole or not at all, and only ever longer."""

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import get_native_id

from models.errors import ConflictError, HistoryError
from models.registry.history import BEGINNING, Action, Entry, describe, read_history
from models.registry.mlflow_store import MlflowStore
from models.registry.version import Registered
from models.signing import Keys, is_signed, sign_text, trusted_keys


class Ledger:
    """Reads and adds entries.

    Args:
        store: where they lie.
        uri: of the store; what was seen of another one does not count.
        seen: a folder of this machine, for the last entry that it has seen of each model.
        keys: whose signatures count, and what signs here.
    """

    def __init__(self, store: MlflowStore, uri: str, seen: Path, keys: Keys) -> None:
        self._store = store
        self._where = hashlib.sha256(uri.encode()).hexdigest()[:8]
        self._seen = seen
        self._keys = keys

    def entries(self, name: str) -> list[Entry]:
        """Every entry of a model's history, oldest first.

        Raises:
            HistoryError: an entry was removed or changed, or is missing that this machine has seen before.
        """
        stored = self._store.history(name)
        if not stored:
            return self._not_shorter(name, [])
        keys = trusted_keys(self._keys.trusted)
        entries = read_history(name, stored, lambda text, signature: is_signed(text, signature, keys))
        return self._not_shorter(name, entries)

    def append(
        self,
        entries: list[Entry],
        version: Registered,
        action: Action,
        by: str,
        reason: str,
        aliases: Mapping[str, str],
        failed_gates: tuple[str, ...] = (),
        percent: int | None = None,
    ) -> None:
        """Signs and adds the entry that follows `entries`.

        Raises:
            SigningKeyError: there is no key to sign with.
            ConflictError: somebody else's entry arrived before it; it does not count.
        """
        name, now = version.name, datetime.now(UTC)
        entry = Entry(
            sequence=len(entries) + 1,
            at=max(now, entries[-1].at) if entries else now,
            by=by,
            action=action,
            version=version.version,
            digest=version.digest,
            reason=reason,
            failed_gates=failed_gates,
            percent=percent,
            aliases=dict(aliases),
            previous=entries[-1].fingerprint() if entries else BEGINNING,
        )
        text = entry.text()
        self._store.append(name, text, sign_text(text, self._keys.private), describe(entry))
        after = self.entries(name)
        if entry not in after:
            first = after[len(entries)]
            raise ConflictError(name=name, expected=len(entries), who=first.by, what=describe(first))

    def _not_shorter(self, name: str, entries: list[Entry]) -> list[Entry]:
        """The entries, if they go on from what this machine has seen of them before."""
        seen = self._seen / f"{name}-{self._where}"
        last = seen.read_text(encoding="ascii") if seen.exists() else BEGINNING
        digests = [BEGINNING, *(entry.fingerprint() for entry in entries)]
        if last not in digests:
            raise HistoryError(name=name, reason="its end was removed: this machine has seen entries that are gone")
        if last != digests[-1]:
            seen.parent.mkdir(parents=True, exist_ok=True)
            written = seen.with_suffix(f".{os.getpid()}-{get_native_id()}")
            written.write_text(digests[-1], encoding="ascii")
            written.replace(seen)
        return entries
