"""A real service, scraped by a real Prometheus, asked every question of the dashboards."""

import json
import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
import onnx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pydicom import dcmread

from models.bundle import GRAPH, Manifest
from models.bundle_writing import write_bundle
from models.registry import CANARY, PRODUCTION, SHADOW
from monitoring.grafana import DASHBOARDS, dashboard_json
from monitoring.metrics import METRICS, MetricKind
from tests.conftest import CARD, Service, free_port, registry_in, running_service
from tests.serving.networks import overflowing

MONITORING = Path(__file__).parents[2] / "monitoring"
# What Ray's agent adds to every metric of a process.
OF_RAY = {"Component", "NodeAddress", "SessionName", "Version", "WorkerId", "JobId", "NodeId"}
_PATIENCE_SECONDS = 120
_SETTLED_READINGS = 15


@dataclass(frozen=True)
class Monitored:
    """The service's exposition and the Prometheus that scrapes it, after radiographs and refusals."""

    exposition: str
    prometheus: str


def queries() -> list[tuple[str, str]]:
    return [
        (f"{name}: {panel['title']}", target["expr"])
        for name in DASHBOARDS
        for panel in json.loads(dashboard_json(name))["panels"]
        for target in panel["targets"]
    ]


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, exported: Path, manifest: Manifest
) -> Iterator[Service]:
    """A service with a shadow that disagrees and a canary that fails: everything that is measured happens."""
    folder = tmp_path_factory.mktemp("monitored")
    registry = registry_in(folder / "registry", empty_database)
    for alias, point, percent in ((PRODUCTION, 0.1, None), (SHADOW, 1.0, None), (CANARY, 0.5, 99)):
        network = shutil.copytree(exported, folder / f"exported-{alias}")
        if alias == CANARY:
            onnx.save(overflowing(exported), network / GRAPH)
        points = {"operating_points": (point,) * 3}
        write_bundle(folder / alias, network, manifest.model_copy(update=points), CARD)
        registry.promote(registry.register(folder / alias, {}, "tester"), "tester", to=alias, percent=percent)
    settings = {"models": f"{manifest.name}@{PRODUCTION}", "registry_folder": folder / "registry"}
    with running_service(folder, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Prometheus with the committed configuration, but this service's ports and a scrape each second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed; run: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    settings = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    ports = {"thorax": "THORAX_METRICS_PORT", "haproxy": "RAY_SERVE_HAPROXY_METRICS_PORT"}
    for job in settings["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{service.environment[ports[job['job_name']]]}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
               f"--web.listen-address={address}"]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


def ask(prometheus: str, query: str) -> list[float]:
    """The values of an instant query; none while Prometheus is not up or has no data."""
    try:
        answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": query}).json()
    except httpx.TransportError:
        return []
    assert answer["status"] == "success", answer
    return [float(result["value"][1]) for result in answer["data"]["result"]]


def answered(service: Service) -> float:
    families = text_string_to_metric_families(httpx.get(service.metrics).text)
    samples = (sample for family in families for sample in family.samples)
    return sum(
        sample.value
        for sample in samples
        if sample.name == "ray_thorax_predictions_total" and sample.labels["outcome"] == "answered"
    )


def named_radiograph(file: Path) -> bytes:
    dataset = dcmread(file)
    dataset.PatientName, dataset.PatientID = "CANARY^NAME", "CANARY-ID"
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


@pytest.fixture(scope="module")
def monitored(service: Service, prometheus: str, chest_dicom: Path) -> Monitored:
    radiograph = named_radiograph(chest_dicom)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    waiting = [query.replace("$__rate_interval", "1m") for _, query in queries()] + ["ray_thorax_canary_stops_total"]
    while waiting and time.monotonic() < deadline:
        httpx.post(f"{service.address}/v1/predictions", content=radiograph).raise_for_status()
        httpx.post(f"{service.address}/v1/predictions", content=b"a letter")
        waiting = [query for query in waiting if not any(ask(prometheus, query))]
        time.sleep(1)
    return Monitored(httpx.get(service.metrics).text, prometheus)


@pytest.mark.service
@pytest.mark.parametrize("query", [pytest.param(query, id=title) for title, query in queries()])
def test_every_query_of_a_dashboard_returns_data(monitored, query):
    values = ask(monitored.prometheus, query.replace("$__rate_interval", "1m"))
    assert values
    assert all(math.isfinite(value) for value in values)
    assert any(value > 0 for value in values)


def settled(service: Service) -> float:
    """What `answered` gives once Ray has reported all: unchanged through several of its reports."""
    readings = [answered(service)]
    while len(readings) < _SETTLED_READINGS or len(set(readings[-_SETTLED_READINGS:])) > 1:
        time.sleep(1)
        readings.append(answered(service))
    return readings[-1]


@pytest.mark.service
def test_the_service_counts_each_answer_once(service, chest_dicom):
    before = settled(service)
    for _ in range(3):
        httpx.post(f"{service.address}/v1/predictions", content=chest_dicom.read_bytes()).raise_for_status()
    assert settled(service) == before + 3


@pytest.mark.service
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_each_metric_is_exported_with_its_labels_and_no_others(monitored, metric):
    families = text_string_to_metric_families(monitored.exposition)
    of_metric = [family for family in families if family.name in {f"ray_{metric.name}".removesuffix("_total")}]
    assert {family.type for family in of_metric} == {metric.kind.value}
    for sample in (sample for family in of_metric for sample in family.samples):
        labels = {name for name in sample.labels if not name.startswith("otel_scope")} - OF_RAY
        assert labels - ({"le"} if metric.kind is MetricKind.HISTOGRAM else set()) == set(metric.labels)


@pytest.mark.service
def test_no_metric_names_a_patient(monitored):
    assert "ray_thorax_predictions_total" in monitored.exposition
    assert "CANARY" not in monitored.exposition


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_committed_json_is_what_the_code_gives(name):
    committed = MONITORING / "grafana" / "dashboards" / f"{name}.json"
    assert committed.read_text(encoding="utf-8") == dashboard_json(name), "run: python -m monitoring.grafana"


def test_dashboards_ask_the_provisioned_data_source():
    provisioned = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    (source,) = provisioned["datasources"]
    panels = [panel for name in DASHBOARDS for panel in json.loads(dashboard_json(name))["panels"]]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert {panel["datasource"]["type"] for panel in panels} == {source["type"]}


def test_the_provisioned_folder_is_named_by_the_environment():
    provisioned = yaml.safe_load((MONITORING / "grafana/provisioning/dashboards/thorax.yaml").read_text())
    assert provisioned["providers"][0]["options"]["path"] == "$DASHBOARDS"


def test_prometheus_takes_the_committed_configuration():
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("Prometheus is not installed; run: apt-get install prometheus")
    done = subprocess.run([program, "check", "config", MONITORING / "prometheus" / "prometheus.yml"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("alert", "series"),
    [
        ("BundleNotLoaded", 'ray_thorax_model_loads_total{model="thoracic", outcome="failed"}'),
        ("CanaryStopped", 'ray_thorax_canary_stops_total{model="thoracic"}'),
    ],
)
def test_an_alarm_is_raised_by_the_first_of_its_kind_and_ends(tmp_path, alert, series):
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("Prometheus is not installed; run: apt-get install prometheus")
    alerts = MONITORING / "prometheus" / "alerts.yml"
    (group,) = yaml.safe_load(alerts.read_text())["groups"]
    (rule,) = [rule for rule in group["rules"] if rule["alert"] == alert]
    said = {"summary": rule["annotations"]["summary"].replace("{{ $labels.model }}", "thoracic")}
    rings = {"exp_labels": {"model": "thoracic"}, "exp_annotations": said}
    case = {
        "interval": "1m",
        "input_series": [{"series": series, "values": "_x20 1x30"}],
        "alert_rule_test": [
            {"eval_time": when, "alertname": alert, "exp_alerts": expected}
            for when, expected in (("15m", []), ("25m", [rings]), ("45m", []))
        ],
    }
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"rule_files": [str(alerts)], "tests": [case]}))
    done = subprocess.run([program, "test", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
