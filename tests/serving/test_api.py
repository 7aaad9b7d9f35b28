"""The HTTP door of the running service."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.conftest import Service

pytestmark = pytest.mark.service

FINDINGS = ["Normal", "Bacterial Pneumonia", "Viral Pneumonia"]


@pytest.fixture(scope="module")
def client(service: Service):
    with httpx.Client(base_url=service.address, timeout=60) as client:
        yield client


def _png(shape: tuple[int, int] = (200, 180), seed: int = 1) -> bytes:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def _scores(answer: dict) -> list[float]:
    return [number for one in answer["findings"] for number in (one["score"], one["probability"])]


def _refused(response: httpx.Response, status: int, code: str) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    return problem["detail"]


def _thorax_predict(service: Service, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("thorax")), "predict", "--json", *map(str, files)]
    return subprocess.run(command, env=service.environment, capture_output=True, text=True, check=False)


def test_http_and_command_line_give_the_same_answer_about_real_dicom(client, service, chest_dicom, chest_jpeg2000):
    files = [chest_dicom, chest_jpeg2000]
    lines = [json.loads(line) for line in _thorax_predict(service, *files).stdout.splitlines()]
    assert len(lines) == 2
    for file, line in zip(files, lines, strict=True):
        answer = client.post("/v1/predictions", content=file.read_bytes()).raise_for_status().json()
        np.testing.assert_allclose(_scores(answer), _scores(line), atol=1e-6, rtol=0)
        assert set(line) == set(answer) | {"file"}
        for same in ("model", "decision", "gates", "provenance", "notice"):
            assert answer[same] == line[same]


def test_multipart_and_raw_body_give_the_same_answer(client, chest_dicom):
    data = chest_dicom.read_bytes()
    raw = client.post("/v1/predictions", content=data).json()
    multipart = client.post("/v1/predictions", files={"file": ("chest.dcm", data, "application/dicom")}).json()
    np.testing.assert_allclose(_scores(multipart), _scores(raw), atol=1e-6, rtol=0)


def test_a_batch_gives_each_radiograph_its_own_answer(client):
    pictures = [_png(seed=seed) for seed in range(24)]
    alone = [_scores(client.post("/v1/predictions", content=picture).json()) for picture in pictures]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda p: _scores(client.post("/v1/predictions", content=p).json()), pictures))
    np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)


def test_the_answer_names_model_findings_and_what_it_is_not_for(client, production):
    answer = client.post("/v1/predictions", content=_png()).json()
    assert answer["model"] == {"name": "pneumonia", "version": production.version, "digest": production.digest}
    assert [one["finding"] for one in answer["findings"]] == FINDINGS
    assert sum(one["score"] for one in answer["findings"]) == pytest.approx(1)
    assert answer["decision"]["abstain"] is True
    assert "drawings" in answer["decision"]["reasons"][0]
    assert answer["notice"].startswith("Research use. Not for diagnosis.")
    assert answer["provenance"]["engine"] == "openvino"


def test_each_model_that_serves_can_be_named(client, chest_dicom):
    for name in ("pneumonia", "paediatric"):
        answer = client.post(f"/v1/predictions?model={name}", content=chest_dicom.read_bytes()).raise_for_status()
        assert answer.json()["model"]["name"] == name


def test_what_is_no_chest_is_refused_by_the_gate_of_the_model_that_is_asked(client):
    detail = _refused(client.post("/v1/predictions?model=paediatric", content=_png()), 422, "no_chest")
    assert re.search(r"chest_radiograph is 0\.[0-4]\d, needed is 0\.50", detail)
    assert client.post("/v1/predictions?model=pneumonia", content=_png()).status_code == httpx.codes.OK


def test_an_adult_gets_no_findings_of_a_model_for_children(client, chest_dicom):
    answers = {}
    for age in ("045Y", "004Y", None):
        sent = client.post("/v1/predictions?model=paediatric", content=_of_age(chest_dicom, age))
        answers[age] = sent.raise_for_status().json()
    assert answers["045Y"]["findings"] == []
    assert answers["045Y"]["decision"] == {
        "abstain": True,
        "reasons": ["The model answers about children under 18 years only, and this patient's age is another."],
    }
    assert [answer["gates"]["age_group"] for answer in answers.values()] == ["adult", "child", "unknown"]
    assert [len(answers[age]["findings"]) for age in ("004Y", None)] == [3, 3]
    warning = "The model was trained on children under 18 years only, and this patient's age is not known."
    assert [warning in answer["decision"]["reasons"] for answer in answers.values()] == [False, False, True]


def test_findings_that_are_uncertain_or_confounded_are_marked(client, chest_dicom):
    # The network of random weights finds each class about as likely as the others.
    answer = client.post("/v1/predictions?model=paediatric", content=chest_dicom.read_bytes()).json()
    assert [one["uncertain"] for one in answer["findings"]] == [True, True, True]
    assert [one["confounded"] for one in answer["findings"]] == [False, False, True]
    assert answer["decision"]["abstain"] is True
    assert answer["decision"]["reasons"][0] == (
        "Normal, Bacterial Pneumonia and Viral Pneumonia cannot be told apart at a risk of 10 %."
    )


def test_models_describes_what_serves_and_the_default_first(client, production, paediatric):
    models = client.get("/v1/models").json()
    assert [(model["name"], model["digest"]) for model in models] == [
        ("pneumonia", production.digest),
        ("paediatric", paediatric.digest),
    ]
    for model in models:
        assert model["aliases"] == ["candidate", "production"]
        assert model["findings"] == FINDINGS
        assert "Not for diagnosis" in model["card"]
    assert [model["metrics"] for model in models] == [{"test/overall/accuracy/value": 0.5}, {}]
    assert [model["age_group"] for model in models] == ["any", "child"]
    assert [model["confounded"] for model in models] == [[], ["Viral Pneumonia"]]


def test_health_readiness_and_documentation_are_answered(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/v1/predictions",
        "/v1/explanations",
        "/v1/feedback",
        "/v1/models",
        "/healthz",
        "/readyz",
    }
    assert "multipart/form-data" in paths["/v1/predictions"]["post"]["requestBody"]["content"]


def test_the_documentation_works_without_internet(client):
    page = client.get("/docs").raise_for_status().text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {Path(path).suffix for path in loaded} >= {".js", ".css"}
    for path in loaded:
        assert path.startswith("/")
        client.get(path).raise_for_status()


def _corrupt_jpeg2000(file: Path) -> bytes:
    data = bytearray(file.read_bytes())
    for at in range(len(data) // 2, len(data) - 1000, 7):
        data[at] ^= 0x55
    return bytes(data)


def _of_age(file: Path, age: str | None) -> bytes:
    dataset = dcmread(file)
    dataset.PatientAge = age
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def _without_pixels(file: Path) -> bytes:
    dataset = dcmread(file)
    del dataset.PixelData, dataset.Rows, dataset.Columns
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def _multi_frame(file: Path) -> bytes:
    dataset = dcmread(file)
    dataset.NumberOfFrames = 2
    dataset.PixelData *= 2
    dataset.Rows //= 2
    written = BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def _huge_png() -> bytes:
    file = BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()


def test_bad_files_get_their_status_and_one_clear_sentence(client, chest_dicom, chest_jpeg2000):
    cases = [
        (b"", 400, "malformed_file", "empty"),
        (_png()[:500], 400, "malformed_file", "cut short"),
        (chest_dicom.read_bytes()[:5000], 400, "malformed_file", "cut short"),
        (_corrupt_jpeg2000(chest_jpeg2000), 400, "malformed_file", "corrupt"),
        (b"not a radiograph\n", 415, "unknown_format", "text"),
        (_without_pixels(chest_dicom), 422, "no_pixel_data", "(7FE0,0010)"),
        (_multi_frame(chest_dicom), 422, "multi_frame", "2"),
        (_huge_png(), 413, "too_large", "400000000 pixels"),
        (bytes(17 * 2**20), 413, "too_large", "bytes"),
    ]
    for data, status, code, word in cases:
        assert word in _refused(client.post("/v1/predictions", content=data), status, code)
        if data and status != 413:
            named = {"file": ("chest.png", data, "image/png")}
            assert word in _refused(client.post("/v1/predictions", files=named), status, code)
    assert client.post("/v1/predictions", content=_png()).status_code == httpx.codes.OK


def test_a_body_without_announced_length_is_cut_at_the_limit(client):
    endless = (bytes(2**20) for _ in range(64))
    assert "bytes" in _refused(client.post("/v1/predictions", content=endless), 413, "too_large")


def test_requests_that_the_interface_does_not_describe_are_refused(client):
    assert "pneumonia" in _refused(
        client.post("/v1/predictions?model=dermatology", content=_png()), 404, "model_not_found"
    )
    assert "modle" in _refused(client.post("/v1/predictions?modle=pneumonia", content=_png()), 400, "bad_request")
    assert "'file'" in _refused(client.post("/v1/predictions", files={"picture": _png()}), 400, "bad_request")
    two = [("file", ("a.png", _png())), ("file", ("b.png", _png()))]
    _refused(client.post("/v1/predictions", files=two), 400, "bad_request")
    broken = client.post("/v1/predictions", content=_png(), headers={"content-type": "multipart/form-data"})
    assert "boundary" in _refused(broken, 400, "bad_request")
    _refused(client.get("/v1/predictions"), 405, "method_not_allowed")
    _refused(client.get("/v2/predictions"), 404, "not_found")


def test_a_refusal_repeats_nothing_of_the_file(client, chest_dicom):
    dataset = dcmread(chest_dicom)
    dataset.PatientName, dataset.PatientID = "CANARY^NAME", "CANARY-ID"
    dataset.NumberOfFrames = 3
    written = BytesIO()
    dataset.save_as(written)
    response = client.post("/v1/predictions", files={"file": ("CANARY.dcm", written.getvalue())})
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "CANARY" not in response.text


def test_predict_answers_the_rest_where_a_file_fails(service, chest_dicom, tmp_path):
    text = tmp_path / "letter.png"
    text.write_text("a letter")
    done = _thorax_predict(service, text, tmp_path / "missing.dcm", chest_dicom)
    assert done.returncode == 1
    bad, missing, good = (json.loads(line) for line in done.stdout.splitlines())
    assert (bad["status"], bad["code"], bad["file"]) == (415, "unknown_format", str(text))
    assert (missing["code"], "Traceback" in done.stderr) == ("unreadable_file", False)
    assert len(good["findings"]) == 3
