"""Heat maps and verdicts through the door of the running service."""

import sqlite3
import uuid
from contextlib import closing
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from models.explain import Overlay, place_map
from models.reading import read_radiograph_file

pytestmark = pytest.mark.service
FINDINGS = ["Normal", "Bacterial Pneumonia", "Viral Pneumonia"]
ROWS, COLUMNS = 1955, 1841


@pytest.fixture(scope="module")
def client(service):
    with httpx.Client(base_url=service.address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def radiograph(chest_dicom):
    return read_radiograph_file(chest_dicom)


@pytest.fixture(scope="module")
def maps(bundle, radiograph):
    return bundle.predict([radiograph])[0].maps


def test_an_answer_brings_its_heat_maps_along_where_it_is_asked_to(client, chest_dicom, maps):
    answer = client.post("/v1/predictions?explain=true", content=chest_dicom.read_bytes()).raise_for_status().json()
    explanation = answer["explanation"]
    assert (explanation["rows"], explanation["columns"]) == (ROWS, COLUMNS)
    assert explanation["region"] == {"left": 0, "top": 0, "right": COLUMNS, "bottom": ROWS}
    assert [one["finding"] for one in explanation["maps"]] == FINDINGS
    for number, one in enumerate(explanation["maps"]):
        np.testing.assert_allclose(one["values"], maps[..., number], atol=1e-5)
    without = client.post("/v1/predictions", content=chest_dicom.read_bytes()).json()
    assert "explanation" not in without
    assert [one["score"] for one in without["findings"]] == pytest.approx([one["score"] for one in answer["findings"]])


def test_a_picture_has_the_radiograph_in_its_own_geometry_and_a_caption_below(client, chest_dicom, radiograph, maps):
    route = "/v1/explanations?finding=Viral%20Pneumonia"
    sent = client.post(route, files={"file": ("chest.dcm", chest_dicom.read_bytes())}).raise_for_status()
    assert sent.headers["content-type"] == "image/png"
    with Image.open(BytesIO(sent.content)) as picture:
        colours = np.asarray(picture)
    assert colours.shape[1] == COLUMNS
    assert colours.shape[0] > ROWS
    expected = Overlay(radiograph, place_map(maps[..., 2].copy(), (0, 0, COLUMNS, ROWS), (ROWS, COLUMNS)))[:]
    # A level of the float maps rounds to another of 255 here and there.
    np.testing.assert_allclose(colours[:ROWS].astype(int), expected.astype(int), atol=3)
    assert colours[ROWS:].max() == 255


def test_the_map_itself_is_an_array(client, chest_dicom, maps):
    sent = client.post("/v1/explanations?finding=Normal&format=npy", content=chest_dicom.read_bytes())
    heat = np.load(BytesIO(sent.raise_for_status().content))
    expected = place_map(maps[..., 0].copy(), (0, 0, COLUMNS, ROWS), (ROWS, COLUMNS))
    assert heat.dtype == np.float32
    np.testing.assert_allclose(heat, expected, atol=1e-4)


def _refused(response, status, code):
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    return problem["detail"]


def test_what_cannot_be_explained_is_refused(client, chest_dicom):
    data = chest_dicom.read_bytes()
    detail = _refused(client.post("/v1/explanations?finding=Edema", content=data), 404, "finding_not_found")
    assert "'Edema'" in detail
    assert "Bacterial Pneumonia" in detail
    assert "finding" in _refused(client.post("/v1/explanations", content=data), 400, "bad_request")
    _refused(client.post("/v1/explanations?finding=Normal&format=gif", content=data), 400, "bad_request")
    _refused(client.post("/v1/explanations?finding=Normal&model=none", content=data), 404, "model_not_found")
    _refused(client.post("/v1/explanations?finding=Normal", content=b"letter"), 415, "unknown_format")
    _refused(client.post("/v1/predictions?explain=perhaps", content=data), 400, "bad_request")


def test_no_heat_map_is_drawn_of_what_the_model_does_not_answer(client, chest_dicom):
    dataset = dcmread(chest_dicom)
    dataset.PatientAge = "045Y"
    written = BytesIO()
    dataset.save_as(written)
    route = "/v1/explanations?finding=Normal&model=paediatric"
    assert "children under 18" in _refused(client.post(route, content=written.getvalue()), 422, "no_answer")
    answer = client.post("/v1/predictions?explain=true&model=paediatric", content=written.getvalue()).json()
    assert answer["explanation"]["maps"] == []


def test_a_verdict_is_kept(client, registry_folder):
    said = {"prediction_id": str(uuid.uuid4()), "finding": "Effusion", "verdict": "absent"}
    response = client.post("/v1/feedback", json=said)
    assert (response.status_code, response.json()) == (201, said)
    with closing(sqlite3.connect(registry_folder / "feedback.db")) as log:
        rows = log.execute("SELECT finding, verdict FROM verdicts WHERE prediction_id = ?", (said["prediction_id"],))
        assert rows.fetchall() == [("Effusion", "absent")]


def test_a_verdict_that_cannot_be_understood_is_refused(client):
    said = {"prediction_id": str(uuid.uuid4()), "finding": "Effusion", "verdict": "absent"}
    assert "Effusion" in _refused(
        client.post("/v1/feedback", json=said | {"finding": "Cough"}), 404, "finding_not_found"
    )
    for wrong in ({"verdict": "maybe"}, {"prediction_id": "chest"}, {"patient": "Doe"}):
        _refused(client.post("/v1/feedback", json=said | wrong), 400, "bad_request")
    _refused(client.post("/v1/feedback", content=b"{"), 400, "bad_request")
    long = client.post("/v1/feedback", json=said | {"finding": "x" * 10_000})
    assert long.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
