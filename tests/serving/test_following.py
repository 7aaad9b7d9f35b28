"""A real service follows its registry: what is promoted serves soon, and no request notices; what fails does not."""

import shutil
from collections import Counter

import httpx
import pytest

from models.bundle_writing import write_bundle
from models.registry import PRODUCTION, Registry
from models.signing import Keys
from tests.conftest import CARD, free_port, registry_in, running_service
from tests.serving.live import Asking, metric, wait_for

pytestmark = pytest.mark.service

NAME = "pneumonia"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("following")


@pytest.fixture(scope="module")
def registry(folder, empty_database):
    return registry_in(folder / "registry", empty_database)


@pytest.fixture(scope="module")
def make_version(folder, registry, exported, manifest):
    """Registers a version that calls everything present from its own operating point on."""

    def make(point):
        bundle = folder / f"bundle-{point}"
        write_bundle(bundle, exported, manifest.model_copy(update={"operating_points": (point,) * 3}), CARD)
        return registry.register(bundle, {"point": point}, "ann")

    return make


@pytest.fixture(scope="module")
def settings(folder, registry, make_version):
    registry.promote(make_version(0.1), "ann")
    make_version(0.2)
    return {
        "models": f"{NAME}@{PRODUCTION}",
        "registry_folder": folder / "registry",
        "registry_poll_seconds": 2,
        "port": free_port(),
    }


@pytest.fixture(scope="module")
def following(folder, settings):
    with running_service(folder, **settings) as service:
        yield service


def version_at(service):
    (model,) = httpx.get(f"{service.address}/v1/models").json()
    return model["version"], model["metrics"]


def test_a_promotion_and_a_rollback_reach_the_service_and_no_request_fails(following, registry, chest_dicom):
    with Asking(following, chest_dicom.read_bytes()) as asking:
        wait_for(following, lambda: len(asking.answers) > 20)
        registry.promote(registry.resolve(NAME, "2"), "ann")
        wait_for(following, lambda: asking.served[-1:] == ["2"])
        registry.rollback(NAME, "ann", "for this test")
        wait_for(following, lambda: asking.served[-1:] == ["1"])
    assert Counter(answer.status_code for answer in asking.answers) == {200: len(asking.answers)}
    points = {"1": 0.1, "2": 0.2}
    for answer in (answer.json() for answer in asking.answers):
        version = answer["model"]["version"]
        assert {one["operating_point"] for one in answer["findings"]} == {points[version]}
        assert answer["model"]["digest"] == registry.resolve(NAME, version).digest
    assert set(asking.served) == {"1", "2"}
    wait_for(following, lambda: version_at(following) == ("1", {"point": 0.1}))


def test_a_bundle_that_cannot_be_had_leaves_the_old_one_serving_and_raises_an_alarm(
    following, registry, folder, make_version, chest_dicom
):
    version = make_version(0.3)
    registry.promote(version, "ann")
    wait_for(following, lambda: version_at(following)[0] == version.version)
    broken = make_version(0.4)
    elsewhere = Registry(
        f"sqlite:///{folder / 'registry/mlflow.db'}", folder / "elsewhere", Keys.below(folder / "registry")
    )
    elsewhere.download(broken)  # before it is damaged where the service gets it from
    registered = [path for path in (folder / "registry/artifacts").rglob("bundle.json") if "0.4" in path.read_text()]
    graph = registered[0].with_name("model.onnx")
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    elsewhere.promote(broken, "ann")
    wait_for(following, lambda: metric(following, "ray_thorax_registry_up") == 0)
    answer = httpx.post(f"{following.address}/v1/predictions", content=chest_dicom.read_bytes(), timeout=60).json()
    assert answer["model"]["version"] == version.version
    elsewhere.rollback(NAME, "ann", "it is broken")
    wait_for(following, lambda: metric(following, "ray_thorax_registry_up") == 1)
    wait_for(following, lambda: version_at(following)[0] == version.version)


def test_without_its_registry_it_serves_what_was_verified_last_also_after_a_restart(folder, settings, chest_dicom):
    port = {"port": free_port()}
    with running_service(folder, **settings | port) as service:
        before = version_at(service)
    database = folder / "registry/mlflow.db"
    shutil.move(database, folder / "away.db")
    database.mkdir()
    try:
        with running_service(folder, **settings | port) as service:
            assert version_at(service) == before
            wait_for(service, lambda: metric(service, "ray_thorax_registry_up") == 0)
            answer = httpx.post(f"{service.address}/v1/predictions", content=chest_dicom.read_bytes(), timeout=60)
            assert answer.raise_for_status().json()["model"]["version"] == before[0]
            database.rmdir()
            shutil.move(folder / "away.db", database)
            wait_for(service, lambda: metric(service, "ray_thorax_registry_up") == 1)
    finally:
        if database.is_dir():
            database.rmdir()
            shutil.move(folder / "away.db", database)
