"""The environment as settings: what is taken, and what is refused by its name."""

import os
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import ValidationError

from models.errors import SettingsError
from models.signing import Keys
from serving.service import running
from serving.settings import Settings, load_settings

EXAMPLE = dotenv_values(Path(__file__).parents[2] / ".env.example")
# The default of every setting, as the README and the interfaces promise them.
DEFAULTS = {
    "host": "127.0.0.1",
    "port": 8000,
    "page": True,
    "grpc_port": 0,
    "metrics_port": 8080,
    "models": ("thoracic@production", "pneumonia@production"),
    "registry_uri": "",
    "registry_folder": Path("data/registry"),
    "registry_poll_seconds": 5.0,
    "signing_key": "",
    "trusted_keys": "",
    "engine": "openvino",
    "min_replicas": 1,
    "max_replicas": 1,
    "engine_threads": 0,
    "reading_workers": 0,
    "models_in_memory": 8,
    "shadow_percent": 100.0,
    "max_waiting_copies": 4,
    "canary_max_failures": 0.02,
    "canary_max_slowdown": 2.0,
    "canary_min_answers": 50,
    "max_batch_size": 2,
    "batch_wait_seconds": 0.0,
    "max_waiting_requests": 128,
    "max_upload_bytes": 67_108_864,
    "max_held_bytes": 1073741824,
    "max_pixels": 50_000_000,
    "request_timeout_seconds": 30.0,
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("THORAX_")]:
        monkeypatch.delenv(name)


def test_an_empty_environment_gives_the_defaults():
    assert load_settings().model_dump() == DEFAULTS


def test_the_example_file_names_every_setting_with_its_default(monkeypatch):
    assert set(EXAMPLE) == {f"THORAX_{name.upper()}" for name in DEFAULTS}
    for name, value in EXAMPLE.items():
        monkeypatch.setenv(name, value)
    assert load_settings().model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("host", "127.0.0.2", "127.0.0.2"),
        ("host", "localhost", "localhost"),
        ("port", "65535", 65535),
        ("engine", "onnxruntime", "onnxruntime"),
        ("batch_wait_seconds", "0", 0.0),
        ("request_timeout_seconds", "0.5", 0.5),
        ("registry_folder", "/srv/registry", Path("/srv/registry")),
        ("signing_key", "/srv/key.pem", "/srv/key.pem"),
        ("trusted_keys", "/srv/trusted", "/srv/trusted"),
        ("models", "pneumonia@production, thoracic@3,", ("pneumonia@production", "thoracic@3")),
    ],
)
def test_a_variable_sets_its_field(monkeypatch, name, text, value):
    monkeypatch.setenv(f"THORAX_{name.upper()}", text)
    assert load_settings().model_dump() == DEFAULTS | {name: value}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "http"),
        ("port", "0"),
        ("port", "65536"),
        ("port", ""),
        ("metrics_port", "0"),
        ("engine", "torch"),
        ("engine_threads", "-1"),
        ("min_replicas", "0"),
        ("min_replicas", "2"),
        ("reading_workers", "-1"),
        ("max_batch_size", "1.5"),
        ("max_waiting_requests", "0"),
        ("max_upload_bytes", "64 MB"),
        ("max_pixels", "-1"),
        ("batch_wait_seconds", "-0.001"),
        ("batch_wait_seconds", "inf"),
        ("request_timeout_seconds", "0"),
        ("request_timeout_seconds", "inf"),
        ("request_timeout_seconds", "nan"),
        ("models", ""),
        ("models", " , "),
        ("models", "pneumonia"),
        ("models", "pneumonia@"),
        ("models", "@production"),
        ("models", "pneumonia@production,pneumonia@2"),
        ("host", ""),
        ("host", "0.0.0.0"),  # noqa: S104 - the address that must be refused
        ("host", "::"),
        ("host", "192.168.1.10"),
        ("host", "radiology.example.org"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_setting(monkeypatch, name, text):
    monkeypatch.setenv(f"THORAX_{name.upper()}", text)
    with pytest.raises(SettingsError, match=rf"^environment: .*\b{name}\b"):
        load_settings()


def test_each_of_several_wrong_values_is_named(monkeypatch):
    monkeypatch.setenv("THORAX_PORT", "http")
    monkeypatch.setenv("THORAX_MAX_PIXELS", "many")
    with pytest.raises(SettingsError, match=r"port .*; max_pixels "):
        load_settings()


def test_without_authentication_only_this_machine_is_answered(monkeypatch):
    monkeypatch.setenv("THORAX_HOST", "0.0.0.0")  # noqa: S104 - the address that must be refused
    with pytest.raises(SettingsError, match=r"but received 0\.0\.0\.0: this release has no authentication yet"):
        load_settings()


@pytest.mark.parametrize("name", ["THORAX_MODLES", "thorax_modles"])
def test_an_unknown_variable_is_refused_with_those_that_are_known(monkeypatch, name):
    monkeypatch.setenv(name, "pneumonia@production")
    with pytest.raises(SettingsError, match=rf"^environment: {name} is not a setting; known are .*THORAX_MODELS"):
        load_settings()


def test_other_programs_variables_are_left_alone(monkeypatch):
    monkeypatch.setenv("NOT_THORAX_MODLES", "1")
    assert load_settings().model_dump() == DEFAULTS


def test_settings_cannot_be_changed_once_built():
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.host = "0.0.0.0"  # noqa: S104 - must not be reached
    assert settings.host == "127.0.0.1"


def test_keys_lie_in_the_registrys_folder_unless_others_are_set():
    assert Settings(registry_folder=Path("/srv")).keys == Keys(Path("/srv/keys/private.pem"), Path("/srv/keys/trusted"))
    assert Settings(signing_key="/a.pem", trusted_keys="/b").keys == Keys(Path("/a.pem"), Path("/b"))


def test_the_registry_is_a_file_in_its_folder_unless_an_address_is_set():
    assert Settings(registry_folder=Path("/srv")).registry_address == "sqlite:////srv/mlflow.db"
    assert Settings(registry_uri="http://mlflow:5000").registry_address == "http://mlflow:5000"


@pytest.mark.parametrize("threads", [0, 1])
def test_more_replicas_than_this_machine_has_room_for_are_refused_before_ray_starts(threads):
    many = (os.cpu_count() or 1) + 1
    settings = Settings(engine_threads=threads, min_replicas=many, max_replicas=many)
    with pytest.raises(SettingsError, match="THORAX_MIN_REPLICAS"), running(settings):
        pass
