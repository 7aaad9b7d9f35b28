"""What serves is known without the registry: it is written down where it was verified."""

import hashlib
import shutil
import sqlite3

import pytest

from models.bundle import SCHEMA
from models.bundle_writing import write_bundle
from models.errors import (
    BundleDigestError,
    BundleFormatError,
    HistoryError,
    RegistryUnreachableError,
    SettingsError,
)
from models.registry import CANARY, PRODUCTION, SHADOW, describe, kept_bundle
from serving.canary import Stop, write_stop
from serving.following import first_lineup, follow, withdraw_stopped
from serving.lineup import lineup_path, read_lineup
from serving.settings import Settings
from tests.conftest import CARD, registry_in


@pytest.fixture
def settings(tmp_path, empty_database, exported, manifest):
    """Of a service whose registry has one model in production."""
    registry = registry_in(tmp_path / "registry", empty_database)
    write_bundle(tmp_path / "bundle", exported, manifest, CARD)
    registry.promote(registry.register(tmp_path / "bundle", {"auroc": 0.75}, "ann"), "ann")
    return Settings(registry_folder=tmp_path / "registry", models="pneumonia@production")


def cut_history(settings):
    with sqlite3.connect(settings.registry_folder / "mlflow.db") as database:
        database.execute("DELETE FROM model_versions WHERE name = 'pneumonia.history' AND version = 1")
    database.close()


def remove_database(settings):
    (settings.registry_folder / "mlflow.db").unlink()
    (settings.registry_folder / "mlflow.db").mkdir()


def test_what_the_registry_says_is_written_down(settings):
    lineup = first_lineup(settings)
    assert read_lineup(settings) == lineup
    standing = lineup.of("pneumonia")
    assert (standing.alias, standing.name.version, standing.description.metrics) == ("production", "1", {"auroc": 0.75})
    assert kept_bundle(settings.registry_folder, standing.name.digest).is_dir()


@pytest.mark.parametrize(
    ("damage", "error"), [(cut_history, HistoryError), (remove_database, RegistryUnreachableError)]
)
def test_where_the_registry_is_away_or_damaged_what_served_last_goes_on(settings, damage, error):
    before = first_lineup(settings)
    damage(settings)
    assert first_lineup(settings) == before
    with pytest.raises(error):
        follow(settings)
    lineup_path(settings).unlink()
    with pytest.raises(error):
        first_lineup(settings)


def test_what_served_under_other_settings_does_not_count(settings):
    first_lineup(settings)
    other = settings.model_copy(update={"models": ("thoracic@production",)})
    with pytest.raises(SettingsError, match="what served here last of thoracic@production, but received pneumonia"):
        read_lineup(other)


@pytest.mark.parametrize("content", ["", "{}", "no JSON"])
def test_a_broken_file_is_no_lineup(settings, content):
    first_lineup(settings)
    lineup_path(settings).write_text(content)
    with pytest.raises(SettingsError, match="there is nothing"):
        read_lineup(settings)


def registered(settings, exported, manifest, name, to):
    """Another version of the model, promoted to an alias."""
    registry = registry_in(settings.registry_folder)
    bundle = settings.registry_folder.parent / name
    write_bundle(bundle, exported, manifest.model_copy(update={"operating_points": (0.5,) * 3}), CARD)
    percent = 25 if to == CANARY else None
    return registry.promote(registry.register(bundle, {}, "ann"), "ann", to=to, percent=percent)


def test_trials_are_written_down_beside_what_serves(settings, exported, manifest):
    shadow = registered(settings, exported, manifest, "shadow", SHADOW)
    lineup = follow(settings)
    assert lineup.shadow_of("pneumonia").name.digest == shadow.digest
    assert lineup.canary_of("pneumonia") is None
    registry_in(settings.registry_folder).promote(shadow, "ann", to=CANARY, percent=25)
    lineup = follow(settings)
    canary = lineup.canary_of("pneumonia")
    assert (canary.standing.name.digest, canary.percent) == (shadow.digest, 25)
    assert canary.trial == ("pneumonia", len(registry_in(settings.registry_folder).history("pneumonia")))
    assert [standing.alias for standing in lineup.answering] == ["production", "canary"]


def test_what_is_asked_for_by_its_number_has_no_trials(settings, exported, manifest):
    registered(settings, exported, manifest, "canary", CANARY)
    lineup = follow(settings.model_copy(update={"models": ("pneumonia@1",)}))
    assert (lineup.canaries, lineup.shadows) == ((), ())


def test_what_production_is_already_is_no_trial(settings, exported, manifest):
    registry = registry_in(settings.registry_folder)
    for alias, percent in ((SHADOW, None), (CANARY, 10)):
        registry.promote(registry.resolve("pneumonia", "1"), "ann", to=alias, percent=percent)
    lineup = follow(settings)
    assert (lineup.canaries, lineup.shadows) == ((), ())


def test_a_trial_that_cannot_be_had_does_not_hold_up_production(settings, exported, manifest):
    follow(settings)
    canary = registered(settings, exported, manifest, "canary", CANARY)
    registry = registry_in(settings.registry_folder)
    better = registered(settings, exported, manifest.model_copy(update={"confounded": ("Normal",)}), "b", PRODUCTION)
    shutil.rmtree(registry.kept(canary.digest))
    stored = (settings.registry_folder / "artifacts").rglob("bundle.json")
    for path in list(stored):
        if "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() == canary.digest:
            path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleDigestError):
        follow(settings)
    lineup = read_lineup(settings)
    assert lineup.of("pneumonia").name.digest == better.digest
    assert lineup.canaries == ()


def test_a_model_that_cannot_be_had_does_not_hold_up_the_others(settings, exported, manifest):
    registry = registry_in(settings.registry_folder)
    for number, name in enumerate(("other", "pneumonia"), start=1):
        bundle = settings.registry_folder.parent / f"{name}-{number}"
        named = manifest.model_copy(update={"name": name, "operating_points": (0.1 * number,) * 3})
        write_bundle(bundle, exported, named, CARD)
        registry.promote(registry.register(bundle, {}, "ann"), "ann")
    both = settings.model_copy(update={"models": ("pneumonia@production", "other@production")})
    before = follow(both)
    cut_history(settings)  # of the first
    registry.promote(registry.register(_other(settings, exported, manifest), {}, "ann"), "ann")
    with pytest.raises(HistoryError):
        follow(both)
    now = read_lineup(both)
    assert now.of("pneumonia") == before.of("pneumonia")
    assert now.of("other").name.version == "2"


def _other(settings, exported, manifest):
    bundle = settings.registry_folder.parent / "other-2"
    write_bundle(bundle, exported, manifest.model_copy(update={"name": "other"}), CARD)
    return bundle


@pytest.mark.parametrize("alias", [PRODUCTION, CANARY, SHADOW])
def test_a_bundle_of_a_newer_schema_is_not_taken_over(settings, exported, manifest, alias, monkeypatch):
    before = follow(settings)
    with monkeypatch.context() as newer:  # the release of tomorrow registers and promotes it
        newer.setattr("models.bundle.SCHEMA", SCHEMA + 1)
        registered(settings, exported, manifest.model_copy(update={"schema_version": SCHEMA + 1}), "newer", alias)
    with pytest.raises(BundleFormatError, match=f"its schema is {SCHEMA + 1}, this release knows {SCHEMA}"):
        follow(settings)
    assert read_lineup(settings).models[0].name == before.models[0].name
    assert first_lineup(settings).models[0].name == before.models[0].name
    assert (read_lineup(settings).canaries, read_lineup(settings).shadows) == ((), ())


def test_trials_go_on_while_the_registry_is_away(settings, exported, manifest):
    shadow = registered(settings, exported, manifest, "shadow", SHADOW)
    registry_in(settings.registry_folder).promote(shadow, "ann", to=CANARY, percent=25)
    before = follow(settings)
    remove_database(settings)
    with pytest.raises(RegistryUnreachableError):
        follow(settings)
    assert read_lineup(settings) == before


def test_a_stopped_canary_is_withdrawn_unless_it_is_another_by_now(settings, exported, manifest):
    registered(settings, exported, manifest, "canary", CANARY)
    canary = follow(settings).canary_of("pneumonia")
    write_stop(settings, Stop(name="pneumonia", since=canary.since, reason="too slow"))
    registry = registry_in(settings.registry_folder)
    registry.promote(registry.resolve("pneumonia", CANARY), "ann", "once more", to=CANARY, percent=5)
    withdraw_stopped(settings)
    assert registry.trial("pneumonia").percent == 5
    write_stop(settings, Stop(name="pneumonia", since=follow(settings).canary_of("pneumonia").since, reason="too slow"))
    withdraw_stopped(settings)
    assert registry.trial("pneumonia") is None
    assert describe(registry.history("pneumonia")[-1]).endswith("by the service at 127.0.0.1:8000: too slow")
