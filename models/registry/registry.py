"""Name + version or alias -> a bundle that is whole and signed; every change of an alias is an entry of the history."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from models.bundle import FILES, MANIFEST, read_manifest
from models.errors import (
    BundleError,
    ConflictError,
    HistoryError,
    RegistryError,
)
from models.registry.archive import Archived, reading_archive, write_archive
from models.registry.history import CANARY, Action, Entry, Trial, aliases_of, describe, trial_of, version_at
from models.registry.ledger import Ledger
from models.registry.mlflow_store import BUNDLE, EVIDENCE, MlflowStore, check_room
from models.registry.version import ModelVersion, Registered, labelled
from models.signing import Keys, sign_bundle, verify_bundle

CANDIDATE = "candidate"
SHADOW = "shadow"
PRODUCTION = "production"
PREVIOUS = "previous"
_DOCUMENTS = "evidence.json"
TRIALS = (SHADOW, CANARY)
ALIASES = (CANDIDATE, SHADOW, CANARY, PRODUCTION, PREVIOUS)


class Registry:
    """The registry at a URI.

    Args:
        uri: `sqlite:///...` or the address of an MLflow server.
        folder: for downloaded bundles and, with SQLite, the registered files.
        keys: whose signatures count, and what signs here.

    Every method raises `RegistryUnreachableError` where the registry does not answer, `RegistryError` where it refuses
    what it was asked, and `HistoryError` where a model's history was changed by other hands.
    """

    def __init__(self, uri: str, folder: Path, keys: Keys) -> None:
        self._uri = uri
        self._folder = folder
        self._keys = keys
        self._store = MlflowStore(uri, folder)
        self._ledger = Ledger(self._store, uri, folder / "seen", keys)

    def names(self) -> list[str]:
        """Every model's name, sorted."""
        return self._store.names()

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version of a model, newest first; empty where the name is not known."""
        registered = self._store.versions(name)
        entries = self.history(name) if registered else []
        named = {entry.version: entry.digest for entry in entries}
        for version in registered:
            if named.get(version.version, version.digest) != version.digest:
                raise HistoryError(name=name, reason=f"version {version.version} is not the bundle that it names")
        aliases = aliases_of(entries)
        return [_aliased(version, aliases) for version in registered]

    def resolve(self, name: str, version_or_alias: str) -> ModelVersion:
        """The version of that number or alias.

        Raises:
            ModelNotFoundError: no such model, version or alias.
        """
        return labelled(self.versions(name), name, version_or_alias)

    def figures(self, version: Registered) -> dict[str, float]:
        """What a version was registered with, by name."""
        return self._store.figures(version.name, version.version)

    def evidence(self, version: Registered) -> dict[str, Any]:
        """The documents that a version was registered with, by name."""
        with self._store.files(version.name, version.version, EVIDENCE) as folder:
            documents: dict[str, Any] = json.loads((folder / _DOCUMENTS).read_text(encoding="utf-8"))
            return documents

    def register(
        self,
        bundle: Path,
        figures: Mapping[str, float],
        by: str,
        facts: Mapping[str, str] | None = None,
        evidence: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """The version of the bundle under the name of its model, signed; `candidate` then points to it.

        The same bundle is the same version, whatever is said about it the second time.

        Args:
            bundle: the folder; it is left as it is, and its copy in the registry is signed.
            figures: finite, by their names.
            by: who registers.
            facts: about where it comes from.
            evidence: documents for the gates, by name.

        Raises:
            BundleError: the bundle is not whole.
            SigningKeyError: there is no key to sign with.
            ConflictError: somebody changed the model's aliases meanwhile; the version is registered.
        """
        manifest, digest = read_manifest(bundle)
        found = self._by_digest(manifest.name, digest)
        if found is None:
            with self._staged(bundle, evidence or {}) as folder:
                signed_by = verify_bundle(folder / BUNDLE, self._keys.trusted)
                known = {"commit": manifest.training.commit, "data": manifest.training.data, "signed_by": signed_by}
                settings = manifest.training.parameters
                found = self._store.add(manifest.name, folder, digest, known | dict(facts or {}), figures, settings)
        return self._point(found, CANDIDATE, Action.REGISTER, by, reason="")

    def promote(
        self,
        version: Registered,
        by: str,
        reason: str = "",
        failed_gates: tuple[str, ...] = (),
        to: str = PRODUCTION,
        percent: int | None = None,
    ) -> ModelVersion:
        """Lets an alias point to a version whose bundle has arrived here, whole and signed.

        Where it is `production`, `previous` then points to what was, and what was a trial of the version is over.

        Args:
            version: to promote.
            by: who promotes.
            reason: in their words.
            failed_gates: that they override.
            to: the alias.
            percent: of the studies, 1 to 99, that a canary takes; None for every other alias.

        Raises:
            RegistryError: the alias is not one that can be set, or not with this percentage.
            BundleError: the bundle is not what was registered and signed.
            ConflictError: somebody else changed the model's aliases meanwhile; nothing was changed.
        """
        if to not in ALIASES or to == PREVIOUS:
            settable = ", ".join(alias for alias in ALIASES if alias != PREVIOUS)
            raise RegistryError(reason=f"Expected one of the aliases {settable}, but received {to!r}.")
        if (to == CANARY) != (percent is not None) or percent not in {None, *range(1, 100)}:
            raise RegistryError(reason=f"Expected 1 to 99 percent for a canary only, but received {percent} for {to}.")
        self.download(version)
        return self._point(version, to, Action.PROMOTE, by, reason, failed_gates, percent)

    def withdraw(self, name: str, alias: str, by: str, reason: str = "", since: int | None = None) -> ModelVersion:
        """Takes an alias away that is a trial, `shadow` or `canary`, and gives the version that had it.

        Args:
            name: of the model.
            alias: to take away.
            by: who withdraws.
            reason: in their words.
            since: the entry with which the canary began that is meant; None for whichever there is.

        Raises:
            ConflictError: another canary is in trial by now.
            RegistryError: the alias is another; production changes by `promote` and `rollback` only.
            ModelNotFoundError: it points to nothing.
            ConflictError: somebody else changed the model's aliases meanwhile; nothing was changed.
        """
        if alias not in TRIALS:
            raise RegistryError(reason=f"Expected one of the aliases {', '.join(TRIALS)}, but received {alias!r}.")
        version = self.resolve(name, alias)
        entries = self.history(name)
        now = trial_of(entries)
        if since is not None and (now is None or now.since != since):
            raise ConflictError(name=name, expected=since, who=entries[-1].by, what=describe(entries[-1]))
        aliases = {other: points for other, points in aliases_of(entries).items() if other != alias}
        self._ledger.append(entries, version, Action.WITHDRAW, by, reason, aliases)
        self._store.set_aliases(name, aliases)
        return _aliased(version, aliases)

    def trial(self, name: str) -> Trial | None:
        """What is in trial as the canary of a model, and since which entry of its history."""
        return trial_of(self.history(name))

    def rollback(self, name: str, by: str, reason: str = "") -> ModelVersion:
        """Lets `production` point to what it pointed to before, and `previous` to what it points to now.

        Raises:
            ModelNotFoundError: nothing was in production before.
            BundleError, ConflictError: as for `promote`.
        """
        version = self.resolve(name, PREVIOUS)
        self.download(version)
        return self._point(version, PRODUCTION, Action.ROLLBACK, by, reason)

    def history(self, name: str) -> list[Entry]:
        """Every entry of a model's history, oldest first.

        Raises:
            HistoryError: an entry was removed or changed, or is missing that this machine has seen before.
        """
        return self._ledger.entries(name)

    def version_at(self, name: str, when: datetime, alias: str = PRODUCTION) -> str | None:
        """The version that an alias pointed to at a time; None where it pointed to none."""
        return version_at(self.history(name), alias, when)

    def download(self, version: Registered) -> Path:
        """The folder of the version's bundle, kept by digest; digest and signature are checked each time.

        Raises:
            BundleError: what the registry gave is not what was registered, or nobody who is trusted signed it.
        """
        kept = self.kept(version.digest)
        if self._is_good(kept, version.digest):
            return kept
        with self._store.files(version.name, version.version, BUNDLE) as arrived:
            self._check(arrived, version.digest)
            if not self._is_good(kept, version.digest):  # another process may have been first
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(kept, ignore_errors=True)
                arrived.rename(kept)
        return kept

    def kept(self, digest: str) -> Path:
        """Where a downloaded bundle of that digest lies, if it is there."""
        return kept_bundle(self._folder, digest)

    def export(self, version: Registered, path: Path) -> None:
        """Writes a version, verified, into a single file for `take_in` at another site.

        Raises:
            BundleError: the bundle is not what was registered and signed.
            ArchiveError: the file cannot be written.
        """
        bundle = self.download(version)
        figures, evidence = self.figures(version), self.evidence(version)
        write_archive(path, Archived(bundle, dict(version.facts), figures, evidence))

    def take_in(self, path: Path, by: str) -> ModelVersion:
        """Registers what another site exported, with the signature it came with; `candidate` then points to it.

        Raises:
            ArchiveError: the file cannot be read or is none.
            BundleError: the bundle is not whole, or nobody who is trusted here signed it.
            ConflictError: somebody changed the model's aliases meanwhile; the version is registered.
        """
        with reading_archive(path) as archived:
            manifest, digest = read_manifest(archived.bundle)
            verify_bundle(archived.bundle, self._keys.trusted)
            found = self._by_digest(manifest.name, digest)
            if found is None:
                folder = archived.bundle.parent
                _write_evidence(folder, archived.evidence)
                settings = manifest.training.parameters
                found = self._store.add(manifest.name, folder, digest, archived.facts, archived.figures, settings)
        return self._point(found, CANDIDATE, Action.IMPORT, by, reason=f"from {path.name}")

    def verify(self, name: str) -> list[str]:
        """What is wrong with a model: its history, MLflow's copy of its aliases, each aliased version's files."""
        try:
            by_number = {version.version: version for version in self.versions(name)}
            aliases = aliases_of(self.history(name))
        except HistoryError as error:
            return [str(error)]
        problems = []
        shown = self._store.aliases(name)
        if shown != aliases:
            problems.append(
                f"MLflow's aliases of {name} are {_listed(shown)}, those of the history {_listed(aliases)}: somebody "
                "moved one in MLflow, or a change broke off. The history counts; the next change mends MLflow's."
            )
        for number in sorted(set(aliases.values())):
            version = by_number.get(number)
            if version is None:
                problems.append(f"{name} version {number} has an alias, but is not there.")
                continue
            try:
                with self._store.files(name, number, BUNDLE) as arrived:
                    self._check(arrived, version.digest)
            except (BundleError, RegistryError) as error:
                problems.append(str(error))
        return problems

    def prune(self, name: str, keep: timedelta, by: str) -> list[ModelVersion]:
        """Deletes the versions without an alias that had none, and were not registered, within the time to keep.

        Returns:
            What was deleted; each has an entry in the history.
        """
        horizon = datetime.now(UTC) - keep
        deleted = []
        for version in self.versions(name):
            if version.aliases or _last_used(version, self.history(name)) > horizon:
                continue
            entries = self.history(name)
            self._ledger.append(entries, version, Action.PRUNE, by, f"kept for {keep.days} days", aliases_of(entries))
            self._store.remove(name, version.version)
            shutil.rmtree(self.kept(version.digest), ignore_errors=True)
            deleted.append(version)
        return deleted

    def _point(
        self,
        version: Registered,
        alias: str,
        action: Action,
        by: str,
        reason: str,
        failed_gates: tuple[str, ...] = (),
        percent: int | None = None,
    ) -> ModelVersion:
        entries = self.history(version.name)
        aliases = aliases_of(entries)
        before = aliases.get(alias)
        if before != version.version or percent is not None:
            aliases[alias] = version.version
            if alias == PRODUCTION:
                over = [trial for trial in TRIALS if aliases.get(trial) == version.version]
                aliases = {other: points for other, points in aliases.items() if other not in over}
                aliases |= {PREVIOUS: before} if before is not None else {}
            self._ledger.append(entries, version, action, by, reason, aliases, failed_gates, percent)
        self._store.set_aliases(version.name, aliases)
        return _aliased(version, aliases)

    def _by_digest(self, name: str, digest: str) -> Registered | None:
        return next((version for version in self._store.versions(name) if version.digest == digest), None)

    @contextmanager
    def _staged(self, bundle: Path, evidence: Mapping[str, Any]) -> Iterator[Path]:
        """A folder with a signed copy of the bundle and its evidence."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            try:
                (folder / BUNDLE).mkdir()
                for name in (MANIFEST, *FILES):
                    shutil.copyfile(bundle / name, folder / BUNDLE / name)
                sign_bundle(folder / BUNDLE, self._keys.private)
                _write_evidence(folder, evidence)
            except OSError as error:
                check_room(error)
                raise
            yield folder

    def _check(self, bundle: Path, digest: str) -> None:
        read_manifest(bundle, digest)
        verify_bundle(bundle, self._keys.trusted)

    def _is_good(self, bundle: Path, digest: str) -> bool:
        try:
            self._check(bundle, digest)
        except BundleError:
            return False
        return True


def kept_bundle(folder: Path, digest: str) -> Path:
    """Where a registry with this folder keeps the downloaded bundle of that digest."""
    return folder / "bundles" / digest.replace(":", "-")


def _write_evidence(folder: Path, evidence: Mapping[str, Any]) -> None:
    (folder / EVIDENCE).mkdir()
    (folder / EVIDENCE / _DOCUMENTS).write_text(json.dumps(dict(evidence)), encoding="utf-8")


def _aliased(version: Registered, aliases: Mapping[str, str]) -> ModelVersion:
    own = tuple(sorted(alias for alias, target in aliases.items() if target == version.version))
    fields = asdict(version) | {"aliases": own}
    return ModelVersion(**fields)


def _last_used(version: Registered, entries: list[Entry]) -> datetime:
    """When it was registered, or when it last lost an alias."""
    last = datetime.fromtimestamp(version.created_seconds, UTC)
    for before, after in pairwise(entries):
        if version.version in before.aliases.values():
            last = max(last, after.at)
    return last


def _listed(aliases: Mapping[str, str]) -> str:
    return ", ".join(f"{alias}={version}" for alias, version in sorted(aliases.items())) or "none"
