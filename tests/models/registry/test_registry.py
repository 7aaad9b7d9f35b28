"""The registry on MLflow itself, a SQLite file and a real server: what goes in comes out, verified, or not at all."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from models.bundle import load_bundle
from models.bundle_writing import write_bundle
from models.errors import (
    BundleDigestError,
    BundleFormatError,
    ModelNotFoundError,
    RegistryError,
    RegistryUnreachableError,
)
from models.registry import Registry
from models.signing import SIGNATURE, Keys, make_key, verify_bundle
from tests.conftest import CARD, free_port

METRICS = {"test/overall/accuracy/value": 0.75, "test/Viral Pneumonia/auroc/low": 0.5}


def start_server(folder):
    """An MLflow server on a free port, and its address once it answers."""
    port = free_port()
    options = {
        "--host": "127.0.0.1",
        "--port": port,
        "--workers": 1,
        "--backend-store-uri": f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination": folder / "artifacts",
    }
    command = [sys.executable, "-m", "mlflow", "server", *(str(word) for pair in options.items() for word in pair)]
    with (folder / "server.log").open("wb") as log:
        quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=quiet, start_new_session=True)
    return server, f"http://127.0.0.1:{port}"


def wait_until_healthy(server, address, log):
    while server.poll() is None:
        try:
            with urlopen(f"{address}/health", timeout=5):  # noqa: S310 - our own address
                return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(log.read_text())


@pytest.fixture(scope="module", params=["sqlite", "server"])
def place(request, tmp_path_factory):
    """The address of a registry, and the folder where its files end up."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        yield f"sqlite:///{folder / 'mlflow.db'}", folder
        return
    server, address = start_server(folder)
    try:
        wait_until_healthy(server, address, folder / "server.log")
        yield address, folder
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def keys_in(folder):
    keys = Keys.below(folder)
    if not keys.private.exists():
        make_key(keys.private, keys.trusted)
    return keys


@pytest.fixture(scope="module")
def registry(place):
    return Registry(*place, keys_in(place[1]))


@pytest.fixture
def elsewhere(place, tmp_path):
    """The same registry, seen from a machine that has downloaded nothing yet."""
    return Registry(place[0], tmp_path / "elsewhere", keys_in(place[1]))


@pytest.fixture
def new_bundle(tmp_path, small_exported, small_manifest, request):
    """A bundle that no other test registers, told apart by its commit."""
    commit = hashlib.sha1(request.node.name.encode(), usedforsecurity=False).hexdigest()
    folder = tmp_path / "new_bundle"
    write_bundle(folder, small_exported, with_training(small_manifest, commit=commit), CARD)
    return folder


def with_training(manifest, **changes):
    return manifest.model_copy(update={"training": manifest.training.model_copy(update=changes)})


def stored_file(place, digest, name):
    """Where the registry itself keeps a file of the bundle with that digest."""
    manifests = [path for path in place[1].rglob("bundle.json") if "artifacts" in path.parts]
    (manifest,) = [p for p in manifests if f"sha256:{hashlib.sha256(p.read_bytes()).hexdigest()}" == digest]
    return manifest.with_name(name)


def flip_first_bit(path):
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def test_a_registered_bundle_is_described_as_it_is(registry, new_bundle):
    bundle = load_bundle(new_bundle)
    version = registry.register(new_bundle, METRICS, "ann")
    assert version.name == "pneumonia"
    assert version.version.isdecimal()
    assert (version.digest, version.facts["commit"]) == (bundle.digest, bundle.manifest.training.commit)
    assert version.aliases == ("candidate",)
    assert registry.figures(version) == METRICS
    assert registry.resolve("pneumonia", version.version) == version
    assert "pneumonia" in registry.names()


def test_a_bundle_is_registered_under_the_name_of_its_model_not_of_its_task(
    registry, tmp_path, small_exported, small_manifest
):
    write_bundle(tmp_path / "other", small_exported, small_manifest.model_copy(update={"name": "baseline"}), CARD)
    before = registry.versions("pneumonia")
    version = registry.register(tmp_path / "other", METRICS, "ann")
    assert (version.name, version.version) == ("baseline", "1")
    assert "baseline" in registry.names()
    assert registry.versions("pneumonia") == before


def test_settings_of_the_training_are_parameters_by_their_dotted_keys(
    registry, place, tmp_path, small_exported, small_manifest
):
    from mlflow import MlflowClient

    heads = [{"name": "chest", "findings": ["Effusion", "Mass"], "sources": []}]
    settings = {
        "backbone": "baseline_cnn",
        "mirror_mean": False,
        "augment": {"zoom": 0.1, "mix": "none"},
        "heads": heads,
        "nothing": [],
        "long": ["x" * 40] * 200,
        "many": {f"n{number}": number for number in range(120)},
    }
    manifest = with_training(small_manifest, parameters=settings).model_copy(update={"name": "nested"})
    write_bundle(tmp_path / "nested", small_exported, manifest, CARD)
    version = registry.register(tmp_path / "nested", METRICS, "ann")
    client = MlflowClient(tracking_uri=place[0], registry_uri=place[0])
    recorded = client.get_run(client.get_model_version("nested", version.version).run_id).data.params
    assert recorded.pop("long") == ('["' + ("x" * 40 + '", "') * 200)[:6000]
    assert json.loads(recorded.pop("heads")) == heads
    assert recorded == {
        "backbone": "baseline_cnn",
        "mirror_mean": "false",
        "augment.zoom": "0.1",
        "augment.mix": "none",
        "nothing": "[]",
        **{f"many.n{number}": str(number) for number in range(120)},
    }


def test_more_figures_than_mlflow_takes_at_once_are_all_kept(registry, new_bundle):
    figures = {f"test/overall/findings/{number}": number / 8 for number in range(1500)}
    assert registry.figures(registry.register(new_bundle, figures, "ann")) == figures


def test_the_same_bundle_is_the_same_version_and_another_is_the_next(registry, new_bundle, small_exported):
    first = registry.register(new_bundle, METRICS, "ann")
    assert registry.register(new_bundle, {"other": 1.0}, "ann") == first
    manifest = load_bundle(new_bundle).manifest.model_copy(update={"operating_points": (0.1, 0.1, 0.1), "files": {}})
    write_bundle(new_bundle, small_exported, manifest, CARD)
    second = registry.register(new_bundle, METRICS, "ann")
    assert int(second.version) == int(first.version) + 1
    assert [version.digest for version in registry.versions("pneumonia")[:2]] == [second.digest, first.digest]


def test_an_alias_moves_from_version_to_version(registry, new_bundle, small_bundle):
    old, new = registry.register(small_bundle, METRICS, "ann"), registry.register(new_bundle, METRICS, "ann")
    assert registry.promote(old, "ann", to="shadow").aliases == ("shadow",)
    assert registry.resolve("pneumonia", "shadow").digest == old.digest
    assert registry.promote(new, "ann", to="shadow").aliases == ("candidate", "shadow")
    assert registry.resolve("pneumonia", "shadow").digest == new.digest
    assert registry.resolve("pneumonia", old.version).aliases == ()


def test_a_downloaded_bundle_is_the_registered_one(registry, elsewhere, place, new_bundle, radiographs):
    version = registry.register(new_bundle, METRICS, "ann")
    downloaded = elsewhere.download(version)
    assert {path.name: path.read_bytes() for path in downloaded.iterdir() if path.name != SIGNATURE} == {
        path.name: path.read_bytes() for path in new_bundle.iterdir()
    }
    assert verify_bundle(downloaded, keys_in(place[1]).trusted) == version.facts["signed_by"]
    loaded, original = load_bundle(downloaded, version.digest), load_bundle(new_bundle)
    for one, other in zip(loaded.predict(radiographs), original.predict(radiographs), strict=True):
        assert one.scores.tolist() == other.scores.tolist()
    assert elsewhere.download(version) == downloaded


def test_a_kept_bundle_needs_no_registry_but_is_verified_each_time(registry, elsewhere, new_bundle, place):
    version = registry.register(new_bundle, METRICS, "ann")
    kept = elsewhere.download(version)
    flip_first_bit(kept / "model.onnx")
    assert elsewhere.download(version) == kept
    assert load_bundle(kept, version.digest).digest == version.digest
    unreachable = Registry("http://127.0.0.1:9", kept.parents[1], keys_in(place[1]))
    assert unreachable.download(version) == kept
    flip_first_bit(kept / "model.onnx")
    with pytest.raises(RegistryUnreachableError):
        unreachable.download(version)


@pytest.mark.parametrize("name", ["model.keras", "model.onnx", "gates.npz", "MODEL_CARD.md"])
def test_a_tampered_file_is_found_and_not_kept(name, registry, elsewhere, new_bundle, place, tmp_path):
    version = registry.register(new_bundle, METRICS, "ann")
    flip_first_bit(stored_file(place, version.digest, name))
    with pytest.raises(BundleDigestError, match=name):
        elsewhere.download(version)
    assert not (tmp_path / "elsewhere" / "bundles").exists()


def test_a_tampered_manifest_is_found_and_not_kept(registry, elsewhere, new_bundle, place, tmp_path):
    version = registry.register(new_bundle, METRICS, "ann")
    manifest = stored_file(place, version.digest, "bundle.json")
    manifest.write_text(manifest.read_text().replace("0.2", "0.9"))
    with pytest.raises(BundleDigestError) as caught:
        elsewhere.download(version)
    assert caught.value.values["expected"] == version.digest
    assert not (tmp_path / "elsewhere" / "bundles").exists()


def test_a_broken_bundle_is_not_registered(registry, new_bundle):
    registry.register(new_bundle, METRICS, "ann")
    before = registry.versions("pneumonia")
    flip_first_bit(new_bundle / "model.onnx")
    with pytest.raises(BundleDigestError):
        registry.register(new_bundle, METRICS, "ann")
    (new_bundle / "bundle.json").unlink()
    with pytest.raises(BundleFormatError):
        registry.register(new_bundle, METRICS, "ann")
    assert registry.versions("pneumonia") == before


def test_an_unknown_model_version_or_alias_is_told_with_the_known_ones(registry, small_bundle):
    version = registry.register(small_bundle, METRICS, "ann")
    assert registry.versions("brain") == []
    with pytest.raises(ModelNotFoundError, match="holds no brain@1; it holds: nothing of that name"):
        registry.resolve("brain", "1")
    for unknown in ("999", "nobody"):
        with pytest.raises(ModelNotFoundError, match=f"pneumonia@{version.version}") as caught:
            registry.resolve("pneumonia", unknown)
        assert caught.value.values["wanted"] == f"pneumonia@{unknown}"
    with pytest.raises(ModelNotFoundError):
        registry.rollback("brain", "ann")


@pytest.mark.parametrize("alias", ["latest", "no spaces", "", "previous"])
def test_only_known_aliases_can_be_set(alias, registry, small_bundle):
    version = registry.register(small_bundle, METRICS, "ann")
    with pytest.raises(RegistryError, match="candidate, shadow, canary, production, but received"):
        registry.promote(version, "ann", to=alias)


def test_what_others_registered_under_the_name_is_passed_over(registry, small_bundle, place):
    from mlflow import MlflowClient

    ours = registry.register(small_bundle, METRICS, "ann")
    before = registry.versions("pneumonia")
    client = MlflowClient(tracking_uri=place[0], registry_uri=place[0])
    run = client.create_run("0")
    client.create_model_version("pneumonia", f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    assert registry.versions("pneumonia") == before
    assert registry.register(small_bundle, METRICS, "ann") == ours


@pytest.fixture(params=["no server", "no database", "a folder", "below a file", "nowhere"])
def unreachable(request, tmp_path):
    (tmp_path / "text.db").write_text("this is a text, and no database\n" * 100)
    addresses = {
        "no server": f"http://127.0.0.1:{free_port()}",
        "no database": f"sqlite:///{tmp_path / 'text.db'}",
        "a folder": f"sqlite:///{tmp_path}",
        "below a file": f"sqlite:///{tmp_path / 'text.db' / 'mlflow.db'}",
        "nowhere": "sqlite:////proc/nowhere/mlflow.db",
    }
    return addresses[request.param]


@pytest.mark.timeout(60)  # MLflow by itself tries for minutes
def test_a_registry_that_does_not_answer_is_one_clear_error(unreachable, tmp_path, small_bundle):
    registry = Registry(unreachable, tmp_path / "registry", keys_in(tmp_path / "registry"))
    for ask in (
        registry.names,
        lambda: registry.versions("pneumonia"),
        lambda: registry.resolve("pneumonia", "1"),
        lambda: registry.rollback("pneumonia", "ann"),
        lambda: registry.history("pneumonia"),
        lambda: registry.register(small_bundle, METRICS, "ann"),
    ):
        with pytest.raises(RegistryUnreachableError, match="THORAX_REGISTRY_URI") as caught:
            ask()
        assert caught.value.values["uri"] == unreachable
        assert "\n" not in str(caught.value)
    assert not Path(tmp_path / "registry" / "bundles").exists()
