"""A real service with versions in trial: a canary answers about some studies, a shadow about none; both do no harm."""

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx
import onnx
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from models.bundle import GRAPH, load_bundle
from models.bundle_writing import write_bundle
from models.reading import read_radiograph
from models.registry import CANARY, SHADOW, Action
from models.registry.history import aliases_of
from serving.lineup import lineup_path
from serving.settings import Settings
from tests.conftest import CARD, free_port, registry_in, running_service
from tests.serving.live import metric, wait_for
from tests.serving.networks import dragging, overflowing

pytestmark = pytest.mark.service

MODELS = ("sticky", "failing", "slow", "shadowed", "broken")
POINTS = {"1": 0.1, "2": 0.9}
"""Operating points by version, all below and all above what a network of random weights says."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(scope="module")
def registry(folder, empty_database):
    return registry_in(folder / "registry", empty_database)


@pytest.fixture(scope="module")
def register(folder, registry, exported, manifest):
    """Registers a version of a model, of this graph if one is given."""

    def make(name, version, graph=None):
        source = shutil.copytree(exported, folder / f"exported-{name}-{version}")
        if graph is not None:
            onnx.save(graph, source / GRAPH)
        bundle = folder / f"{name}-{version}"
        named = {"name": name, "operating_points": (POINTS[version],) * 3}
        write_bundle(bundle, source, manifest.model_copy(update=named), CARD)
        return registry.register(bundle, {}, "ann")

    return make


@pytest.fixture(scope="module")
def settings(folder, registry, register):
    for name in MODELS:
        registry.promote(register(name, "1"), "ann")
    return {
        "models": ",".join(f"{name}@production" for name in MODELS),
        "registry_folder": folder / "registry",
        "registry_poll_seconds": 1,
        "canary_min_answers": 15,
        "models_in_memory": 3,
        "port": free_port(),
    }


@pytest.fixture(scope="module")
def service(folder, settings):
    with running_service(folder, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def studies(chest_dicom):
    """Every fourth pixel of the real chest radiograph, as if of forty studies."""
    dataset = dcmread(chest_dicom)
    pixels = dataset.pixel_array[::4, ::4].copy()
    (dataset.Rows, dataset.Columns), dataset.PixelData = pixels.shape, pixels.tobytes()
    files = []
    for number in range(40):
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=[f"trial {number}"])
        file = BytesIO()
        dataset.save_as(file)
        files.append(file.getvalue())
    return files


def ask(service, name, data):
    return httpx.post(f"{service.address}/v1/predictions", params={"model": name}, content=data, timeout=60)


def versions_of(service, name):
    return {one["version"] for one in httpx.get(f"{service.address}/v1/models").json() if one["name"] == name}


def test_more_models_serve_than_are_in_memory_at_once(service, studies):
    for _ in range(2):
        for name in MODELS:
            answer = ask(service, name, studies[0]).raise_for_status().json()
            assert (answer["model"]["name"], answer["model"]["version"]) == (name, "1")
    wait_for(service, lambda: metric(service, "ray_serve_num_multiplexed_models") == 3)
    unloaded = "ray_serve_multiplexed_models_unload_counter_total"
    wait_for(service, lambda: (metric(service, unloaded) or 0) >= len(MODELS) - 3 + len(MODELS))


def test_a_canary_answers_about_its_share_of_the_studies_and_always_about_the_same(
    service, registry, register, studies
):
    registry.promote(register("sticky", "2"), "ann", to=CANARY, percent=50)
    wait_for(service, lambda: versions_of(service, "sticky") == {"1", "2"})
    rounds = []
    for _ in range(2):
        answers = [ask(service, "sticky", data).raise_for_status().json() for data in studies]
        for answer in answers:
            assert {one["operating_point"] for one in answer["findings"]} == {POINTS[answer["model"]["version"]]}
        rounds.append([answer["model"]["version"] for answer in answers])
    assert rounds[0] == rounds[1]
    assert 8 <= Counter(rounds[0])["2"] <= 32
    registry.withdraw("sticky", CANARY, "ann", "seen enough")
    wait_for(service, lambda: versions_of(service, "sticky") == {"1"})
    assert {ask(service, "sticky", data).json()["model"]["version"] for data in studies} == {"1"}


@pytest.mark.parametrize(
    ("name", "graph", "reason"),
    [
        ("failing", overflowing, "3 of its last 3 answers failed"),
        ("slow", dragging, "its median answer takes"),
    ],
)
def test_a_canary_that_fails_or_is_slow_is_rolled_back_and_nobody_is_without_an_answer(
    service, registry, register, exported, studies, name, graph, reason
):
    registry.promote(register(name, "2", graph(exported)), "ann", to=CANARY, percent=50)
    wait_for(service, lambda: versions_of(service, name) == {"1", "2"})
    statuses = Counter()
    for _ in range(4):
        statuses += Counter(ask(service, name, data).status_code for data in studies)
        if versions_of(service, name) == {"1"}:
            break
    assert set(statuses) == {httpx.codes.OK}
    assert versions_of(service, name) == {"1"}
    wait_for(service, lambda: CANARY not in aliases_of(registry.history(name)))
    *_, entry = registry.history(name)
    assert (entry.action, entry.version) == (Action.WITHDRAW, "2")
    assert entry.by.startswith("the service at 127.0.0.1:")
    assert entry.reason.startswith(reason)
    wait_for(service, lambda: metric(service, "ray_thorax_canary_stops_total", model=name) == 1)


def test_a_shadow_is_compared_and_its_answers_reach_nobody(service, registry, register, folder, studies):
    registry.promote(register("shadowed", "2"), "ann", to=SHADOW)
    wait_for(service, lambda: metric(service, "ray_thorax_model_info", alias="shadow", model="shadowed") == 1)

    def compared():
        answer = ask(service, "shadowed", studies[0]).raise_for_status().json()
        assert answer["model"]["version"] == "1"
        return metric(service, "ray_thorax_shadow_copies_total", model="shadowed", outcome="compared") or 0

    wait_for(service, lambda: compared() >= 5)
    probabilities = load_bundle(folder / "shadowed-1").predict([read_radiograph(studies[0])])[0].scores
    for finding, score in zip(("Normal", "Bacterial Pneumonia", "Viral Pneumonia"), probabilities, strict=True):
        labels = {"model": "shadowed", "finding": finding}
        apart = (score >= POINTS["1"]) != (score >= POINTS["2"])
        assert metric(service, "ray_thorax_shadow_disagreement", **labels) == apart
        count = metric(service, "ray_thorax_shadow_score_difference_count", **labels)
        assert metric(service, "ray_thorax_shadow_score_difference_bucket", le="0.01", **labels) == count
    for of in ("shadow", "production"):
        assert metric(service, "ray_thorax_shadow_seconds_count", model="shadowed", of=of) >= 5


def test_more_copies_than_may_wait_are_shed(service, studies):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda data: ask(service, "shadowed", data).status_code, studies * 4))
    assert set(answers) == {httpx.codes.OK}
    shed = {"model": "shadowed", "outcome": "shed"}
    wait_for(service, lambda: (metric(service, "ray_thorax_shadow_copies_total", **shed) or 0) > 0)


def test_a_shadow_that_fails_harms_nobody(service, registry, register, exported, studies):
    registry.promote(register("broken", "2", overflowing(exported)), "ann", to=SHADOW)
    wait_for(service, lambda: metric(service, "ray_thorax_model_info", alias="shadow", model="broken") == 1)
    assert {ask(service, "broken", data).status_code for data in studies[:5]} == {httpx.codes.OK}
    failed = {"model": "broken", "outcome": "failed"}
    wait_for(service, lambda: (metric(service, "ray_thorax_shadow_copies_total", **failed) or 0) > 0)


def test_a_stopped_canary_stays_stopped_without_a_key_to_sign_that(
    folder, settings, registry, register, exported, studies
):
    name = "failing"
    registry.promote(registry.resolve(name, "2"), "ann", to=CANARY, percent=50)
    own = settings | {"models": f"{name}@production", "port": free_port(), "signing_key": folder / "none.pem"}
    before = registry.history(name)
    for _ in range(2):  # and after a restart
        with running_service(folder, **own) as service:
            for data in studies:
                assert ask(service, name, data).status_code == httpx.codes.OK
            wait_for(service, lambda running=service: versions_of(running, name) == {"1"})
    assert registry.history(name) == before
    assert lineup_path(Settings(registry_folder=folder / "registry", port=own["port"])).exists()
