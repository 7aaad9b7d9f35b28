"""What serves is known without the registry: it is written down where it was verified."""

import sqlite3

import pytest

from models.bundle_writing import write_bundle
from models.errors import HistoryError, RegistryUnreachableError, SettingsError
from serving.following import first_lineup, follow
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
    assert standing.bundle.is_dir()


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
