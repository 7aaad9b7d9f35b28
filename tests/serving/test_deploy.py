"""Ray's own way to start the service, with the committed configuration file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from models.bundle_writing import write_bundle
from tests.conftest import CARD, own_ports, registry_in, wait_until_ready

CONFIG = Path(__file__).parents[2] / "serving" / "config.yaml"

pytestmark = pytest.mark.service


def ask(address, chest):
    """The digest of the version that answers."""
    answer = httpx.post(f"{address}/v1/predictions", content=chest.read_bytes(), timeout=60)
    return answer.raise_for_status().json()["model"]["digest"]


@pytest.fixture
def registry(tmp_path, empty_database, exported, manifest):
    """A registry with two versions, the first of them in production."""
    registry = registry_in(tmp_path / "registry", empty_database)
    for version in ("1", "2"):
        points = {"operating_points": (int(version) / 10,) * 3}
        write_bundle(tmp_path / version, exported, manifest.model_copy(update=points), CARD)
        registry.register(tmp_path / version, {}, "ann")
    registry.promote(registry.resolve("pneumonia", "1"), "ann")
    return registry


def test_serve_run_answers_with_the_committed_configuration_and_follows_as_it_is_told(registry, chest_dicom, tmp_path):
    ports = own_ports()
    config = yaml.safe_load(CONFIG.read_text())
    config["http_options"]["port"] = int(ports["THORAX_PORT"])
    application, page = config["applications"]
    application["deployments"] = [{"name": "follower", "user_config": {"poll_seconds": 1}}]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    settings = {
        "THORAX_MODELS": "pneumonia@production",
        "THORAX_REGISTRY_FOLDER": str(tmp_path / "registry"),
        "THORAX_REGISTRY_POLL_SECONDS": "86400",
    }
    environment = os.environ | ports | settings
    # Where these tests run in the background, a shell has had SIGINT ignored, and whoever is started inherits that.
    command = ["env", "--default-signal=INT", Path(sys.executable).with_name("serve"), "run", "config.yaml"]
    address = f"http://127.0.0.1:{ports['THORAX_PORT']}"
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            wait_until_ready(process, address, log)
            for version in registry.versions("pneumonia")[::-1]:
                registry.promote(version, "ann")
                deadline = time.monotonic() + 120
                while (answered := ask(address, chest_dicom)) != version.digest and time.monotonic() < deadline:
                    time.sleep(0.2)
                assert answered == version.digest
            assert "Thorax" in httpx.get(f"{address}{page['route_prefix']}/").raise_for_status().text
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(180)  # Serve drains its replicas for half a minute, on an idle machine
            except subprocess.TimeoutExpired:
                process.kill()  # or leaving the block would wait for ever
                raise
