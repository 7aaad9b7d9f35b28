"""What a reader does with the page, in a real browser."""

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving.page.conftest import MAX_BYTES, give, read


@pytest.fixture(scope="session")
def noise_png():
    png = BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (200, 180), np.uint8)).save(png, "PNG")
    return png.getvalue()


def problem_of(page):
    page.wait_for_selector(".problem:not(:empty)")
    return page.inner_text(".problem")


def test_a_dicom_file_is_read(visit, chest_dicom):
    page = visit()
    read(page, chest_dicom.read_bytes())
    assert page.inner_text(".known") == "PA view, age unknown, female"
    assert "Frontal chest radiograph" in page.inner_text(".checks")
    assert "paediatric v1 answered in" in page.inner_text(".status")
    assert page.inner_text("#where").startswith("Where: ")
    assert page.locator(".finding").count() == 3
    assert "Upload" in page.inner_text(".earlier")


def test_a_dropped_png_is_read(visit, chest_png):
    page = visit()
    dropped = page.evaluate_handle(
        """data => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], 'chest.png'));
            return transfer;
        }""",
        base64.b64encode(chest_png).decode(),
    )
    page.dispatch_event(".stage", "drop", {"dataTransfer": dropped})
    page.wait_for_selector(".finding", state="attached")
    assert page.inner_text(".known") == "view unknown, age unknown, sex unknown"


def test_an_example_is_read_and_stays_in_the_list(visit):
    page = visit()
    for name in ("CR chest (RG1)", "Drawn: normal"):
        page.click(f"[data-example='{name}']")
        page.wait_for_selector(f".earlier :text('{name}'), .problem:not(:empty)")
    page.click(".earlier button:has-text('CR chest (RG1)')")
    assert page.inner_text(".known") == "PA view, age unknown, female"
    assert page.locator(".finding").count() == 3


def test_keys_turn_the_heat_map_and_the_greys_and_choose_findings(visit, chest_png):
    page = visit()
    read(page, chest_png)
    chosen = "document.querySelector('.chosen').dataset.finding"
    first = page.evaluate(chosen)
    assert page.is_visible(".heat")
    assert page.is_visible(".legend")
    page.keyboard.press("h")
    assert not page.is_visible(".heat")
    assert not page.is_visible(".legend")
    page.keyboard.press("i")
    assert page.get_attribute("#invert", "aria-pressed") == "true"
    assert "thorax-window" in page.evaluate("document.querySelector('.radiograph').style.filter")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(chosen) != first
    page.keyboard.press("ArrowUp")
    assert page.evaluate(chosen) == first
    assert page.evaluate("document.activeElement.closest('.finding').dataset.finding") == first


def test_the_heat_map_has_colours_where_the_model_looked(visit, chest_png):
    page = visit()
    read(page, chest_png)
    pixels = """() => {
        const map = document.querySelector('.heat');
        const { data } = map.getContext('2d').getImageData(0, 0, map.width, map.height);
        let most = 0;
        for (let at = 3; at < data.length; at += 4) most = Math.max(most, data[at]);
        return [most, map.width / map.height];
    }"""
    (most, proportions), film = page.evaluate(pixels), page.locator(".film").bounding_box()
    assert most > 240
    assert proportions == pytest.approx(film["width"] / film["height"], rel=0.02)


def test_dragging_windows_and_the_wheel_zooms_until_it_is_fitted_again(visit, chest_png):
    page = visit()
    read(page, chest_png)
    box = page.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    slope = "Number(document.querySelector('feFuncR').getAttribute('slope'))"
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 20, steps=4)
    page.mouse.up()
    assert page.evaluate(slope) > 1
    before = page.locator(".film").bounding_box()["width"]
    page.mouse.wheel(0, -400)
    page.wait_for_function("document.querySelector('.film').style.transform.includes('scale(2.2')")
    assert page.locator(".film").bounding_box()["width"] > 2 * before
    page.keyboard.press("0")
    assert page.locator(".film").bounding_box()["width"] == pytest.approx(before)


def test_a_verdict_arrives(visit, chest_png, answerer):
    page = visit()
    read(page, chest_png)
    finding = page.evaluate("document.querySelector('.chosen').dataset.finding")
    page.click(".chosen [data-verdict=absent]")
    page.wait_for_selector(".chosen [data-verdict=absent][aria-pressed=true]")
    assert answerer.verdicts[-1][1:] == (finding, "absent")
    assert page.inner_text(".status") == f"Your verdict is kept: {finding} absent."


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello", "Export the radiograph in one of these formats."),
        (b"\x89PNG\r\n\x1a\n broken", "Send the file again, unchanged from its origin."),
        (b"\0" * (MAX_BYTES + 1), "Send a smaller file."),
    ],
)
def test_a_file_that_cannot_be_read_gives_a_sentence(visit, data, words):
    page = visit()
    give(page, data)
    problem = problem_of(page)
    assert problem.startswith("No findings are shown.")
    assert problem.endswith(words)
    assert page.get_attribute(".problem", "role") == "alert"


def test_what_is_no_chest_is_shown_without_findings(visit, noise_png):
    page = visit()
    give(page, noise_png)
    assert "does not look like one" in problem_of(page)
    assert page.is_visible(".radiograph")
    assert page.locator(".finding").count() == 0


def test_an_error_leaves_with_the_next_file(visit, chest_png):
    page = visit()
    give(page, b"hello")
    problem_of(page)
    read(page, chest_png)
    assert page.inner_text(".problem") == ""


def test_another_model_can_be_asked(visit, chest_png):
    page = visit()
    page.select_option("#model", label="pneumonia v1 (production)")
    read(page, chest_png)
    assert "pneumonia v1 answered" in page.inner_text(".status")
    assert "trained on drawings" in page.inner_text(".checks")


def test_why_has_provenance_card_and_files(visit, chest_png):
    page = visit()
    read(page, chest_png)
    page.click(".why > summary")
    page.click(".card > summary")
    assert "A network of random weights" in page.inner_text(".card")
    assert "sha256:" in page.inner_text("#why")
    with page.expect_download() as saved:
        page.click("#json")
    assert json.loads(Path(saved.value.path()).read_text())["model"]["name"] == "paediatric"
    with page.expect_download() as printed:
        page.click("#pdf")
    assert Path(printed.value.path()).read_bytes().startswith(b"%PDF-")
