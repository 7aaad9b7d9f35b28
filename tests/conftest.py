"""What several rooms' tests stand on: small real bundles, registry and service, and the real DICOM files."""

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.backbones import find_backbone
from models.bundle import GATES, Bundle, Manifest, Terms, Training, load_bundle
from models.bundle_writing import export_network, write_bundle
from models.calibration import Calibration, HeadCalibration, Temperature
from models.conformal import Conformal
from models.findings import Head, TaskKind
from models.gates import Gates, fit_gates
from models.radiograph import Radiograph
from models.reading import read_radiograph_file
from models.registry import PRODUCTION, ModelVersion, Registry
from models.signing import Keys, make_key

pytest_plugins = ["tests.remotes"]

# In CI nothing may skip but these: what they need cannot be there.
MAY_SKIP_IN_CI = {"publishers' radiographs are not on this machine"}
_START_SECONDS = 600  # half a minute on an idle machine
PUBLISHERS = Path(__file__).parents[2] / "shared" / "data"
CARD = "# Model card\n\nA network of random weights. Research use. Not for diagnosis.\n"
FEATURES = 128
"""Of an embedding of the baseline network."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in MAY_SKIP_IN_CI:
            report.outcome = "failed"
            report.longrepr = f"skipped in CI, which is not allowed: {reason}"
    return report


@pytest.fixture(scope="session")
def publishers() -> Path:
    """The folder of the publishers' own radiographs."""
    if not PUBLISHERS.is_dir():
        pytest.skip("publishers' radiographs are not on this machine")
    return PUBLISHERS


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    three = Head(
        name="pneumonia",
        kind=TaskKind.MULTICLASS,
        findings=("Normal", "Bacterial Pneumonia", "Viral Pneumonia"),
    )
    return Manifest(
        name="pneumonia",
        task="pneumonia",
        heads=(three,),
        preprocessing=find_backbone("baseline_cnn").preprocessing,
        operating_points=(0.2, 0.3, 0.4),
        calibration=Calibration(parts=(HeadCalibration(kind=three.kind, curves=(Temperature(temperature=1.5),) * 3),)),
        conformal=Conformal(risk=0.1, absent_below=(0.25, 0.25, 0.25)),
        age_group="any",
        terms=Terms(shareable=True, by_source={"synthetic": "allowed"}),
        training=Training(
            backbone="baseline_cnn",
            sources=("synthetic",),
            drawn=True,
            images=0,
            commit="0" * 40,
            data="sha256:" + "0" * 64,
            parameters={"seed": 1, "augment": {"zoom": 0.1}, "heads": []},
            versions={"keras": "3"},
        ),
    )


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Path:
    """The baseline network with random weights, as training would export it, and gates that are open to all."""
    import keras

    from models.heads import build_network

    keras.utils.set_random_seed(7)
    folder = tmp_path_factory.mktemp("exported")
    network = build_network(find_backbone("baseline_cnn"), manifest.heads, manifest.preprocessing)
    export_network(network.answerer, folder)
    Gates.open_to_all(FEATURES).save(folder / GATES)
    return folder


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory, exported: Path, manifest: Manifest) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "pneumonia"
    write_bundle(folder, exported, manifest, CARD)
    return folder


@pytest.fixture(scope="session")
def bundle(bundle_folder: Path) -> Bundle:
    return load_bundle(bundle_folder)


@pytest.fixture(scope="session")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="session")
def production(registry_folder: Path, bundle_folder: Path) -> ModelVersion:
    """The small bundle, registered and promoted in a registry of its own."""
    return _promoted(registry_folder, bundle_folder, {"test/overall/accuracy/value": 0.5})


def _promoted(registry_folder: Path, bundle: Path, metrics: dict[str, float]) -> ModelVersion:
    registry = registry_in(registry_folder)
    return registry.promote(registry.register(bundle, metrics, "tester"), "tester")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a registry that holds nothing; MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("empty")
    registry_in(folder).names()
    return folder / "mlflow.db"


def registry_in(folder: Path, empty_database: Path | None = None) -> Registry:
    """The registry in a folder, with a key that signs; where it is new, a copy of the empty one saves time."""
    folder.mkdir(parents=True, exist_ok=True)
    if empty_database is not None:
        shutil.copyfile(empty_database, folder / "mlflow.db")
    keys = Keys.below(folder)
    if not keys.private.exists():
        make_key(keys.private, keys.trusted)
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", folder, keys)


@pytest.fixture(scope="session")
def paediatric_folder(
    tmp_path_factory: pytest.TempPathFactory, exported: Path, manifest: Manifest, bundle: Bundle, chest_dicom: Path
) -> Path:
    """The same network in a bundle that answers about children only, and can tell the real chest from noise."""
    rng = np.random.default_rng(3)
    chest = bundle.predict([read_radiograph_file(chest_dicom)])[0].embedding
    chests, validation = rng.normal(chest, 0.01, (2, 60, FEATURES))
    noise = [Radiograph(rng.integers(0, 256, (200, 180), np.uint8)) for _ in range(60)]
    decoys = np.stack([one.embedding for one in bundle.predict(noise)])
    folder = tmp_path_factory.mktemp("paediatric")
    network = shutil.copytree(exported, folder / "exported")
    fit_gates(chests, decoys, validation, seed=1).save(network / GATES)
    training = manifest.training.model_copy(update={"drawn": False, "sources": ("kermany",)})
    of_children = {"name": "paediatric", "age_group": "child", "confounded": ("Viral Pneumonia",), "training": training}
    write_bundle(folder / "paediatric", network, manifest.model_copy(update=of_children), CARD)
    return folder / "paediatric"


@pytest.fixture(scope="session")
def paediatric(registry_folder: Path, paediatric_folder: Path) -> ModelVersion:
    """The bundle for children, promoted in the registry of `production`."""
    return _promoted(registry_folder, paediatric_folder, {})


@pytest.fixture(scope="session")
def chest_dicom() -> Path:
    """A real chest radiograph: CR, PA, MONOCHROME1, uncompressed."""
    return _sample("RG1_UNCR.dcm")


@pytest.fixture(scope="session")
def chest_jpeg2000() -> Path:
    """The same radiograph, compressed with JPEG 2000."""
    return _sample("RG1_J2KI.dcm")


def _sample(name: str) -> Path:
    from pydicom.data import get_testdata_file

    found = get_testdata_file(name, download=False)
    assert found is not None, "pydicom-data is a development dependency"
    return Path(str(found))


@pytest.fixture
def noise() -> np.random.Generator:
    return np.random.default_rng(20260101)


def own_ports() -> dict[str, str]:
    """Variables that give a service ports of its own: the defaults may be taken."""
    ours = ("THORAX_PORT", "THORAX_GRPC_PORT", "THORAX_METRICS_PORT")
    names = (*ours, "RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT")
    return {name: str(free_port()) for name in names}


def free_port() -> int:
    """One that nobody is handed meanwhile: Linux hands out those from 32768 on, and a service's own begin at 30000."""
    for port in random.sample(range(10_000, 30_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise RuntimeError("Expected a free port from 10000 to 29999, but none of a hundred is.")


@dataclass(frozen=True)
class Service:
    address: str
    metrics: str
    environment: dict[str, str]


@contextmanager
def running_service(folder: Path, **settings: object) -> Iterator[Service]:
    """`thorax serve`, as a user starts it; its log is written below `folder`."""
    ports = own_ports()
    settings = {"page": False} | settings  # which costs a start some seconds
    environment = os.environ | ports | {f"THORAX_{name.upper()}": str(value) for name, value in settings.items()}
    log = folder / "log"
    command = [Path(sys.executable).with_name("thorax"), "serve"]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        address = f"http://127.0.0.1:{environment['THORAX_PORT']}"
        try:
            wait_until_ready(process, address, log)
            yield Service(address, f"http://127.0.0.1:{environment['THORAX_METRICS_PORT']}/metrics", environment)
        finally:
            process.terminate()
            process.wait(60)
    assert process.returncode == 0, log.read_text()


@pytest.fixture(scope="session")
def service(
    production: ModelVersion,
    paediatric: ModelVersion,
    registry_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """One real service for all tests of its door and its metrics: Ray, HAProxy, FastAPI and both small bundles."""
    folder = tmp_path_factory.mktemp("service")
    models = f"{production.name}@{PRODUCTION},{paediatric.name}@{PRODUCTION}"
    settings = {"models": models, "registry_folder": registry_folder, "max_upload_bytes": 16 * 2**20, "page": True}
    with running_service(folder, **settings) as running:
        yield running


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Returns once the service of a process answers; fails with its log where it does not."""
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client() as client:  # one for all tries: making one costs more than asking
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if client.get(f"{address}/readyz").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
    pytest.fail(f"the service did not start:\n{log.read_text()}")
