"""The page of the running service: HAProxy, Ray, the isolated readers and the front door behind it."""

import sqlite3
from contextlib import closing

import httpx
import pytest

from tests.serving.live import wait_for
from tests.serving.page.conftest import give, read

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def address(service):
    """Where a person would go; the front door leads to the page."""
    wait_for(service, lambda: httpx.get(f"{service.address}/page/", timeout=60).status_code == httpx.codes.OK)
    return f"{service.address}/"


def test_a_radiograph_is_read_explained_and_judged(visit, chest_dicom, registry_folder):
    page = visit()
    assert page.url.endswith("/page/")
    read(page, chest_dicom.read_bytes())
    assert page.inner_text(".known") == "PA view, age unknown, female"
    assert page.locator(".finding").count() == 3
    assert page.is_visible(".heat")
    finding = page.get_attribute(".chosen", "data-finding")
    page.click(".chosen [data-verdict='present']")
    page.wait_for_selector(".chosen [data-verdict='present'][aria-pressed=true]")
    with closing(sqlite3.connect(registry_folder / "feedback.db")) as log:
        rows = log.execute("SELECT finding, verdict FROM verdicts ORDER BY given_at").fetchall()
    assert rows[-1] == (finding, "present")


def test_a_refusal_of_the_front_door_is_a_sentence(visit):
    page = visit()
    give(page, b"a letter")
    page.wait_for_selector(".problem:not(:empty)")
    assert "Expected a PNG, JPEG or DICOM file" in page.inner_text(".problem")
