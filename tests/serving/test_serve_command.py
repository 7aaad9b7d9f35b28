"""`thorax serve` refuses to start with one sentence, before Ray does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import free_port, own_ports, registry_in


@pytest.fixture
def refused(tmp_path):
    """What `thorax serve` says; it fails where Ray has written anything."""
    sessions = tmp_path / "ray"
    sessions.mkdir()

    def serve(**settings):
        named = {"models": "pneumonia@production", "registry_folder": tmp_path / "registry"} | settings
        own = own_ports() | {f"THORAX_{name.upper()}": str(value) for name, value in named.items()}
        done = subprocess.run(
            [Path(sys.executable).with_name("thorax"), "serve"],
            env=os.environ | own | {"RAY_TMPDIR": str(sessions)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == ""
        assert list(sessions.iterdir()) == []
        (sentence,) = done.stderr.splitlines()
        return done.returncode, sentence

    return serve


@pytest.fixture
def registry(tmp_path, bundle_folder):
    """A registry of the test's own, to be damaged as it likes."""
    registry = registry_in(tmp_path / "registry")
    registry.promote(registry.register(bundle_folder, {}, "tester"), "tester")
    next((tmp_path / "registry/bundles").iterdir()).rename(tmp_path / "was downloaded")
    return registry


def test_a_bundle_that_is_not_what_was_registered_is_not_served(refused, registry, tmp_path):
    (graph,) = (tmp_path / "registry/artifacts").rglob("model.onnx")
    graph.write_bytes(graph.read_bytes() + b"\0")
    code, sentence = refused()
    assert code == 1
    assert "model.onnx: expected sha256:" in sentence
    assert sentence.endswith("The bundle is not loaded; download it again.")
    assert list((tmp_path / "registry/bundles").iterdir()) == []


def test_a_model_that_was_never_promoted_is_not_served(refused, registry):
    assert refused(models="pneumonia@staging") == (
        1,
        "The registry holds no pneumonia@staging; it holds: pneumonia@1, pneumonia@candidate, pneumonia@production.",
    )


def test_a_registry_that_does_not_answer_is_one_sentence(refused):
    address = f"http://127.0.0.1:{free_port()}"
    code, sentence = refused(registry_uri=address)
    assert code == 1
    assert sentence.startswith(f"The model registry {address} cannot be reached: ")


def test_an_address_of_the_network_is_refused(refused):
    code, sentence = refused(host="0.0.0.0")  # noqa: S104 - the address that must be refused
    assert code == 2
    assert "this release has no authentication yet" in sentence


@pytest.mark.parametrize("setting", ["port", "metrics_port"])
def test_a_port_that_is_taken_is_one_sentence(refused, setting):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert refused(**{setting: taken}) == (
            2,
            f"THORAX_{setting.upper()}: expected a free port, but {taken} cannot be had (Address already in use); "
            "stop what is there or set another",
        )
