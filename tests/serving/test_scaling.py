"""A second replica, where the first has more to do than it should."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import running_service
from tests.serving.live import Asking, wait_for

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def growing(production, registry_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("growing_service")
    settings = {"models": "pneumonia@production", "max_replicas": 2, "engine_threads": 1}
    with running_service(folder, registry_folder=registry_folder, **settings) as service:
        yield service


def _processes_that_answered(service):
    families = text_string_to_metric_families(httpx.get(service.metrics).text)
    samples = [sample for family in families for sample in family.samples]
    return {one.labels["WorkerId"] for one in samples if one.name == "ray_thorax_predictions_total"}


def test_many_clients_are_answered_by_two_replicas(growing, chest_dicom):
    with Asking(growing, chest_dicom.read_bytes(), clients=24) as asking:
        wait_for(growing, lambda: len(_processes_that_answered(growing)) > 1)
    assert {answer.status_code for answer in asking.answers} == {httpx.codes.OK}
    assert len({answer.json()["model"]["digest"] for answer in asking.answers}) == 1
