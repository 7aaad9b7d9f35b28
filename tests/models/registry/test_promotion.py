"""Production changes by entries that name who, when and why; it goes back in one step; two at once are told apart."""

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import (
    ConflictError,
    HistoryError,
    ModelNotFoundError,
    RegistryError,
    RegistryUnreachableError,
    SignatureError,
    SigningKeyError,
)
from models.registry import PREVIOUS, PRODUCTION, Action, Registry, describe
from models.registry import ledger as module
from models.signing import Keys, make_key
from tests.conftest import registry_in
from tests.room import no_file_beyond

NAME = "pneumonia"


def database(tmp_path):
    return sqlite3.connect(tmp_path / "registry/mlflow.db")


def test_every_change_has_a_name_a_time_and_a_reason(own, versions):
    began = datetime.now(UTC)
    own.promote(versions[1], "bob", "fewer missed", ("calibration",))
    *_, entry = own.history(NAME)
    assert (entry.by, entry.reason, entry.failed_gates) == ("bob", "fewer missed", ("calibration",))
    assert (entry.action, entry.version) == (Action.PROMOTE, "2")
    assert entry.aliases == {"candidate": "3", "production": "2", "previous": "1"}
    assert began <= entry.at <= datetime.now(UTC)
    assert describe(entry).endswith("promote version 2 by bob, over the failed gates calibration: fewer missed")
    assert [one.action for one in own.history(NAME)] == ["register", "register", "register", "promote", "promote"]


def test_what_points_there_already_is_no_change(own, versions):
    before = own.history(NAME)
    assert own.promote(versions[0], "bob", "again").aliases == ("production",)
    assert own.history(NAME) == before


def test_rollback_goes_back_and_forth(own, versions):
    own.promote(versions[1], "bob")
    back = own.rollback(NAME, "cem", "too many false alarms")
    assert (back.version, back.aliases) == ("1", ("production",))
    assert own.resolve(NAME, PREVIOUS).version == "2"
    assert own.rollback(NAME, "cem").version == "2"
    assert own.resolve(NAME, PRODUCTION).version == "2"


def test_there_is_nothing_to_go_back_to_at_first(own, versions):
    with pytest.raises(ModelNotFoundError, match=f"{NAME}@previous"):
        own.rollback(NAME, "cem")


def test_what_was_in_production_at_a_time_is_known(own, versions):
    own.promote(versions[1], "bob")
    *_, first, second = own.history(NAME)
    just_before = timedelta(microseconds=1)
    assert own.version_at(NAME, first.at - just_before) is None
    assert own.version_at(NAME, second.at - just_before) == "1"
    assert own.version_at(NAME, datetime.now(UTC)) == "2"


def test_a_clock_that_was_set_back_does_not_put_an_entry_before_another(own, versions, monkeypatch):
    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(days=3)

    monkeypatch.setattr(module, "datetime", Earlier)
    own.promote(versions[1], "bob")
    times = [entry.at for entry in own.history(NAME)]
    assert times == sorted(times)
    assert own.version_at(NAME, datetime.now(UTC)) == "2"


def test_of_two_who_promote_at_once_one_wins_and_the_other_is_told(own, versions, tmp_path):
    others = [registry_in(tmp_path / "registry") for _ in range(4)]
    barrier, told = threading.Barrier(len(others)), []

    def promote(registry, version, by):
        barrier.wait()
        try:
            registry.promote(version, by)
        except ConflictError as error:
            told.append((by, error))

    names = ["bob", "cem", "dan", "eve"]
    threads = [
        threading.Thread(target=promote, args=(registry, versions[1 + number % 2], name))
        for number, (registry, name) in enumerate(zip(others, names, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = own.history(NAME)
    winners = {entry.by for entry in history[4:]}
    assert winners
    assert winners.isdisjoint({by for by, _ in told})
    for _, error in told:
        assert error.values["who"] in names
        assert "Nothing was changed" in str(error)
    assert own.resolve(NAME, PRODUCTION).version == history[-1].aliases[PRODUCTION]


def test_who_read_the_history_before_another_wrote_is_told(own, versions, tmp_path, monkeypatch):
    other = registry_in(tmp_path / "registry")
    stale = own.history(NAME)
    other.promote(versions[1], "bob", "faster")
    reads = [stale, *[None] * 9]

    def read(name, original=own.history):
        return reads.pop(0) or original(name)

    monkeypatch.setattr(own, "history", read)
    with pytest.raises(ConflictError, match=r"bob was faster: .*promote version 2 by bob: faster"):
        own.promote(versions[2], "cem")
    monkeypatch.undo()
    assert own.resolve(NAME, PRODUCTION).version == "2"
    assert own.promote(versions[2], "cem").aliases == ("candidate", "production")
    assert own.verify(NAME) == []


def test_moving_an_alias_in_mlflow_changes_nothing_and_is_found(own, versions, tmp_path):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'registry/mlflow.db'}"
    MlflowClient(tracking_uri=uri, registry_uri=uri).set_registered_model_alias(NAME, PRODUCTION, "3")
    assert own.resolve(NAME, PRODUCTION).version == "1"
    (problem,) = own.verify(NAME)
    assert "candidate=3, production=3, those of the history candidate=3, production=1" in problem
    own.promote(versions[1], "bob")
    assert own.verify(NAME) == []


def test_mlflows_page_shows_aliases_card_and_who_promoted(own, versions, tmp_path):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'registry/mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert client.get_model_version_by_alias(NAME, PRODUCTION).version == 1
    assert client.get_model_version(NAME, "1").description.startswith("# Model card")
    assert client.get_model_version(f"{NAME}.history", "4").description.endswith("promote version 1 by ann: the first")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "DELETE FROM model_versions WHERE name = 'pneumonia.history' AND version = 2",
            "entry 2 of those that arrived",
        ),
        ("DELETE FROM model_versions WHERE name = 'pneumonia.history' AND version = 4", "its end was removed"),
        ("DELETE FROM model_versions WHERE name = 'pneumonia.history'", "its end was removed"),
        (
            "UPDATE model_version_tags SET value = replace(value, 'the first', 'no reason') "
            "WHERE name = 'pneumonia.history' AND key = 'thorax.entry'",
            "entry 4 is not as a trusted key signed it",
        ),
        (  # another bundle, signed and whole, in the place of the one that was promoted
            "UPDATE model_version_tags SET value = (SELECT value FROM model_version_tags WHERE name = 'pneumonia' AND "
            "version = 2 AND key = 'thorax.digest') WHERE name = 'pneumonia' AND version = 1 AND key = 'thorax.digest'",
            "version 1 is not the bundle that it names",
        ),
    ],
)
def test_a_changed_history_is_found_and_nothing_is_promoted(own, versions, tmp_path, statement, said):
    with database(tmp_path) as connection:
        assert connection.execute(statement).rowcount
    connection.close()
    (problem,) = own.verify(NAME)
    assert said in problem
    with pytest.raises(HistoryError, match=said):
        own.promote(own.resolve(NAME, "2"), "bob")
    with pytest.raises(HistoryError, match=said):
        own.resolve(NAME, PRODUCTION)


def test_a_flipped_bit_among_the_registered_files_is_found(own, versions, tmp_path):
    graph = next(
        path for path in sorted((tmp_path / "registry/artifacts").rglob("model.onnx")) if _run_of(path, tmp_path) == "3"
    )
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    (problem,) = own.verify(NAME)
    assert "model.onnx: expected sha256:" in problem


def _run_of(path, tmp_path):
    run = path.parents[2].name
    with database(tmp_path) as connection:
        rows = connection.execute("SELECT version FROM model_versions WHERE run_id = ?", (run,)).fetchall()
    connection.close()
    return str(rows[0][0])


def test_without_the_private_key_it_serves_but_changes_nothing(own, versions, tmp_path, bundles):
    keys = Keys(tmp_path / "absent.pem", Keys.below(tmp_path / "registry").trusted)
    reader = Registry(f"sqlite:///{tmp_path / 'registry/mlflow.db'}", tmp_path / "reader", keys)
    assert reader.download(reader.resolve(NAME, PRODUCTION)).is_dir()
    before = own.history(NAME)
    for change in (lambda: reader.promote(versions[1], "eve"), lambda: reader.register(bundles(9), {}, "eve")):
        with pytest.raises(SigningKeyError, match="Run: thorax registry keygen"):
            change()
    assert own.history(NAME) == before
    assert len(own.versions(NAME)) == 3


def test_after_a_change_of_keys_old_and_new_versions_are_trusted(own, versions, tmp_path):
    keys = Keys.below(tmp_path / "registry")
    keys.private.unlink()
    make_key(keys.private, keys.trusted)
    own.promote(versions[1], "bob", "signed with the new key")
    elsewhere = Registry(f"sqlite:///{tmp_path / 'registry/mlflow.db'}", tmp_path / "elsewhere", keys)
    assert elsewhere.download(versions[0]).is_dir()
    assert elsewhere.verify(NAME) == []


def test_what_a_distrusted_key_signed_is_not_given_out(own, versions, tmp_path):
    stranger = Keys.below(tmp_path / "stranger")
    make_key(stranger.private, stranger.trusted)
    elsewhere = Registry(f"sqlite:///{tmp_path / 'registry/mlflow.db'}", tmp_path / "elsewhere", stranger)
    with pytest.raises(SignatureError):
        elsewhere.download(versions[0])
    with pytest.raises(HistoryError, match="entry 1 is not as a trusted key signed it"):
        elsewhere.resolve(NAME, PRODUCTION)


def test_a_locked_database_is_told_and_nothing_is_half_done(own, versions, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    locker = database(tmp_path)
    locker.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(RegistryUnreachableError, match="database is locked"):
            own.promote(versions[1], "bob")
    finally:
        locker.rollback()
        locker.close()
    assert own.resolve(NAME, PRODUCTION).version == "1"
    assert own.promote(versions[1], "bob").aliases == ("production",)


@pytest.mark.parametrize("room_bytes", [20_000, 300_000])  # within the first, and within the second large file
def test_a_full_disk_is_told_and_the_next_attempt_makes_it_whole(own, versions, bundles, room_bytes):
    folder = bundles(8)
    with no_file_beyond(room_bytes), pytest.raises(RegistryError, match="File too large"):
        own.register(folder, {}, "bob")
    assert len(own.versions(NAME)) == 3
    assert own.register(folder, {}, "bob").version == "4"
    assert own.verify(NAME) == []


def test_a_full_disk_stops_a_download_and_leaves_nothing(own, versions, tmp_path):
    with no_file_beyond(20_000), pytest.raises(RegistryError, match="File too large"):
        own.download(versions[2])
    assert not own.kept(versions[2].digest).exists()
    assert own.download(versions[2]).is_dir()


KILLED = """
import os, sys
from pathlib import Path
from models.registry import mlflow_store
from tests.conftest import registry_in
from tests.room import no_file_beyond

def die(*_, **__):
    os._exit(9)

setattr(mlflow_store.MlflowStore, sys.argv[2], die)
registry = registry_in(Path(sys.argv[1]))
if sys.argv[3] == "promote":
    registry.promote(registry.resolve("pneumonia", "2"), "bob", "killed")
else:
    registry.register(Path(sys.argv[3]), {}, "bob")
"""


def kill_at(tmp_path, step, work):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "registry", step, work],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 9, done.stderr


@pytest.mark.parametrize(("step", "production"), [("files", "1"), ("append", "1"), ("set_aliases", "2")])
def test_killed_while_promoting_it_is_promoted_or_not(own, versions, tmp_path, step, production):
    kept = own.download(versions[1])
    kept.rename(tmp_path / "gone")  # so that promoting downloads
    kill_at(tmp_path, step, "promote")
    assert own.resolve(NAME, PRODUCTION).version == production
    assert own.promote(versions[1], "bob").aliases == ("production",)
    assert own.resolve(NAME, PREVIOUS).version == "1"
    assert own.verify(NAME) == []


@pytest.mark.parametrize("step", ["add", "append", "set_aliases"])
def test_killed_while_registering_the_next_attempt_makes_it_whole(own, versions, tmp_path, bundles, step):
    folder = bundles(7)
    kill_at(tmp_path, step, folder)
    version = own.register(folder, {}, "bob")
    assert (version.version, version.aliases) == ("4", ("candidate",))
    assert len(own.versions(NAME)) == 4
    assert own.verify(NAME) == []


def test_a_download_that_was_killed_leaves_nothing_that_counts(own, versions, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_check", die)
        with pytest.raises(KeyboardInterrupt):
            own.download(versions[2])
    assert not own.kept(versions[2].digest).exists()
    assert own.download(versions[2]).is_dir()
    assert list((tmp_path / "registry").glob(".arriving-*")) == []
