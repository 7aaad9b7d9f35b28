"""The page's own routes, and what of Gradio can be reached."""

import json
import re

import httpx
import pytest

from models.explain import VIRIDIS
from serving.client import Client
from serving.page.app import page_app
from serving.page.blocks import STATIC
from serving.page.platform import UNREACHABLE
from tests.conftest import free_port
from tests.serving.page.conftest import MAX_BYTES, serving


@pytest.fixture
def client(address):
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


def steps(response):
    assert response.status_code == httpx.codes.OK
    assert response.headers["cache-control"] == "no-store"
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_file_gives_picture_and_findings(client, chest_dicom):
    picture, findings = steps(client.post("readings", content=chest_dicom.read_bytes()))
    assert picture["words"] == "PA view, age unknown, female"
    assert picture["picture"].startswith("data:image/png;base64,iVBOR")
    assert findings["answer"]["model"]["name"] == "paediatric"
    assert "Before you read" in findings["findings"]


def test_a_model_can_be_named(client, chest_dicom):
    _, findings = steps(client.post("readings?model=pneumonia", content=chest_dicom.read_bytes()))
    assert findings["answer"]["model"]["name"] == "pneumonia"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"hello", "Expected a PNG, JPEG or DICOM file"),
        (b"", "it is empty"),
        (b"\0" * (MAX_BYTES + 1), f"Expected at most {MAX_BYTES} bytes"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(client, body, words):
    (step,) = steps(client.post("readings", content=body))
    assert words in step["problem"]


def test_a_platform_that_is_away_is_a_sentence(chest_dicom):
    away = Client(f"http://127.0.0.1:{free_port()}", attempts=1)
    with away, serving(lambda: page_app(lambda: away)) as origin:
        picture, problem = steps(httpx.post(f"{origin}/readings", content=chest_dicom.read_bytes(), timeout=60))
    assert "picture" in picture
    assert problem == {"problem": UNREACHABLE}


def test_a_report_is_made_of_what_the_page_knows(client, chest_dicom):
    picture, findings = steps(client.post("readings", content=chest_dicom.read_bytes()))
    known = {
        "answer": findings["answer"],
        "facts": picture["facts"],
        "picture": picture["picture"],
        "finding": "Normal",
    }
    printed = client.post("reports", json=known)
    assert printed.headers["content-type"] == "application/pdf"
    assert printed.content.startswith(b"%PDF-")


@pytest.mark.parametrize("body", [b"{}", b"no JSON", b"\xff"])
def test_a_report_of_anything_else_is_refused(client, body):
    refused = client.post("reports", content=body)
    assert refused.status_code == httpx.codes.BAD_REQUEST
    assert refused.json()["code"] == "bad_request"


def test_the_address_without_its_slash_leads_to_the_page(address):
    assert httpx.get(address.rstrip("/"), follow_redirects=True).url == address


@pytest.mark.parametrize("path", ["examples/Drawn: effusion", "examples/Drawn: normal", "examples/CR chest (RG1)"])
def test_examples_are_there(client, path):
    assert client.get(path).status_code == httpx.codes.OK


@pytest.mark.parametrize("path", ["examples/none", "examples/..%2fapp.py", "examples/"])
def test_other_examples_are_not(client, path):
    assert client.get(path).status_code == httpx.codes.NOT_FOUND


def test_gradio_takes_no_files_and_gives_none(client):
    sent = client.post("gradio_api/upload", files={"files": ("a.dcm", b"x")})
    asked = [client.get(f"gradio_api/{path}") for path in ("file=/etc/hostname", "proxy=https://example.org", "info")]
    assert {answer.status_code for answer in [sent, *asked]} == {httpx.codes.NOT_FOUND}


def test_a_browser_may_load_from_here_only(client):
    policy = client.get("").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("encoding", ["identity", "gzip, deflate, br, zstd"])
def test_a_browser_asks_the_platform_for_neither_icon_nor_manifest(client, encoding):
    html = client.get("", headers={"Accept-Encoding": encoding}).text
    assert '<link rel="icon" href="data:,">' in html
    assert "manifest.json" not in html


def test_the_browsers_colours_are_those_of_the_platform():
    script = (STATIC / "viewer.js").read_text()
    colours = " ".join(re.findall(r'^\s*"((?:[0-9a-f]{6} ?)+)"', script, re.MULTILINE))
    assert colours.split() == VIRIDIS.split()
