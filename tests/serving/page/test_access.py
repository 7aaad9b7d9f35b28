"""Whether everybody can use the page: by keys, on a telephone, in the dark, without seeing it."""

import pytest

from tests.serving.page.conftest import read


def test_the_notice_is_always_in_view(visit, chest_png):
    page = visit(viewport={"width": 390, "height": 600})
    read(page, chest_png)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    top = page.locator(".notice").bounding_box()["y"]
    assert 0 <= top < 150
    assert page.inner_text(".notice") == "Research use. Not for diagnosis."


def test_all_of_it_can_be_reached_by_the_keyboard(visit, chest_png):
    page = visit()
    read(page, chest_png)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        outlined = page.evaluate(
            "getComputedStyle(document.activeElement.matches('.sr') ? document.activeElement.parentElement"
            " : document.activeElement).outlineStyle"
        )
        assert outlined != "none" or page.evaluate("document.activeElement === document.body")
    assert {"model", "file", "heat", "opacity", "invert", "window", "closer", "fit", "choose", "stage"} <= reached


def test_every_control_has_a_name(visit, chest_png):
    page = visit()
    read(page, chest_png)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.thorax button, .thorax input, .thorax select, .thorax img')]
            .filter((one) => !(one.textContent.trim() || one.ariaLabel || one.alt || one.labels?.length))
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("width", [390, 768, 1024])
def test_nothing_is_wider_than_the_screen(visit, chest_png, width):
    page = visit(viewport={"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    read(page, chest_png)
    page.click(".why > summary")
    page.click(".card > summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "ground"), [("dark", "rgb(12, 15, 19)"), ("light", "rgb(243, 245, 247)")])
def test_it_is_dark_unless_the_system_is_light(visit, scheme, ground):
    page = visit(color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.querySelector('.thorax')).backgroundColor") == ground
