"""Ray's own way to start the service, with the committed configuration file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import own_ports, wait_until_ready

CONFIG = Path(__file__).parents[2] / "serving" / "config.yaml"

pytestmark = pytest.mark.service


def test_serve_run_answers_with_the_committed_configuration(production, registry_folder, chest_dicom, tmp_path):
    ports = own_ports()
    config = yaml.safe_load(CONFIG.read_text())
    config["http_options"]["port"] = int(ports["THORAX_PORT"])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    settings = {"THORAX_MODELS": "pneumonia@production", "THORAX_REGISTRY_FOLDER": str(registry_folder)}
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
            answer = httpx.post(f"{address}/v1/predictions", content=chest_dicom.read_bytes(), timeout=60)
            assert answer.raise_for_status().json()["model"]["digest"] == production.digest
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(180)  # Serve drains its replicas for half a minute, on an idle machine
            except subprocess.TimeoutExpired:
                process.kill()  # or leaving the block would wait for ever
                raise
