"""Old versions go, those that serve or may be needed stay, and the history names them all for ever."""

from datetime import timedelta

from models.registry import Action

NAME = "pneumonia"
NOTHING = timedelta()


def test_what_has_no_alias_goes_with_its_files(own, versions, tmp_path):
    own.promote(versions[1], "bob")
    own.rollback(NAME, "bob")
    kept = own.download(versions[2])
    own.promote(versions[0], "bob", to="candidate")
    (gone,) = own.prune(NAME, NOTHING, "bob")
    assert (gone.version, gone.digest) == ("3", versions[2].digest)
    assert [version.version for version in own.versions(NAME)] == ["2", "1"]
    assert not kept.exists()
    assert len(list((tmp_path / "registry/artifacts").rglob("model.onnx"))) == 2
    *_, entry = own.history(NAME)
    assert (entry.action, entry.version, entry.by) == (Action.PRUNE, "3", "bob")
    assert own.verify(NAME) == []
    assert own.prune(NAME, NOTHING, "bob") == []


def test_what_was_registered_within_the_time_stays(own, versions):
    assert own.prune(NAME, timedelta(days=1), "bob") == []
    assert len(own.versions(NAME)) == 3


def test_what_lost_its_alias_within_the_time_stays(own, versions, monkeypatch):
    from models.registry import registry as module

    real = own.history(NAME)
    old = [entry.model_copy(update={"at": entry.at - timedelta(days=400)}) for entry in real]
    yesterday = old[-1].model_copy(update={"at": real[-1].at - timedelta(days=1), "aliases": {"production": "1"}})
    made = versions[2].created_seconds - 400 * 86_400
    last = [module._last_used(_made(version, made), [*old, yesterday]) for version in versions]
    assert last[2] == yesterday.at
    assert (yesterday.at - last[1]).days == 399


def _made(version, seconds):
    from dataclasses import replace

    return replace(version, created_seconds=seconds)


def test_a_number_is_never_given_again(own, versions, bundles):
    own.prune(NAME, NOTHING, "bob")
    assert own.register(bundles(8), {}, "bob").version == "4"
