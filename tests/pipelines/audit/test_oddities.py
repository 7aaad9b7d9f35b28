"""What is no frontal chest radiograph stands out among those that are."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file

from models.reading import read_radiograph_file
from pipelines.audit.oddities import oddities
from tests.pipelines.audit.pictures import described, real_chests

REAL = ("covid_chestxray", "hannover", "kermany", "nih_chestxray14", "shenzhen")
UNLIKE = "unlike a frontal chest"


@pytest.fixture(scope="module")
def chests(publishers):
    """20 real frontal chests each of five publishers."""
    rng = np.random.default_rng(20260101)
    return [(source, name, grey) for source in REAL for name, grey in real_chests(publishers, source, 20, rng).items()]


def kinds_of(chests, **odd):
    """The kind of each picture that is put among the chests; None where it does not stand out."""
    images, thumbnails = described([*chests, *(("odd", name, grey) for name, grey in odd.items())])
    found = oddities(images, thumbnails)
    kinds = dict(zip(found["image"], found["kind"], strict=True))
    return {name: kinds.get(name) for name in odd}


def sample(name):
    return (read_radiograph_file(get_testdata_file(name, download=False)).levels >> 8).astype(np.uint8)


def page(*lines, points, side_px=(600, 800)):
    """A printed page."""
    picture = Image.new("L", side_px, 255)
    for place, line in enumerate(lines):
        height = points + int(place * points * 1.5)
        ImageDraw.Draw(picture).text((points, height), line, fill=0, font=ImageFont.load_default(points))
    return np.asarray(picture)


def test_of_a_hundred_real_frontal_chests_few_stand_out(chests):
    images, thumbnails = described(chests)
    found = oddities(images, thumbnails)
    assert list(found.columns) == ["source", "image", "kind", "value"]
    assert set(found["kind"]) <= {UNLIKE}
    assert len(found) <= 4, found.to_string()


def test_another_chest_does_not_stand_out(chests):
    assert kinds_of(chests, chest=sample("RG1_UNCR.dcm")) == {"chest": None}


def test_an_extremity_stands_out(chests):
    assert kinds_of(chests, hand=sample("RG3_UNCR.dcm")) == {"hand": UNLIKE}


def test_an_image_of_one_grey_is_blank(chests, noise):
    faint = noise.integers(60, 66, (200, 200), np.uint8)
    found = kinds_of(chests, black=np.zeros((99, 99), np.uint8), grey=np.full((99, 99), 99, np.uint8), faint=faint)
    assert found == {"black": "blank", "grey": "blank", "faint": "blank"}


def test_a_page_of_text_is_text_whether_it_is_full_or_nearly_empty(chests):
    full = page(*["Findings: no focal consolidation, heart of normal size."] * 30, points=16)
    few = page("Chest", "radiograph", "of a patient", points=40)
    assert kinds_of(chests, full=full, dark=255 - full, few=few) == {"full": "text", "dark": "text", "few": "text"}


def test_small_print_that_a_thumbnail_does_not_resolve_stands_out_all_the_same(chests):
    small = page(*["Findings: no focal consolidation. " * 8] * 110, points=10, side_px=(1240, 1754))
    assert kinds_of(chests, small=small)["small"] in {"text", UNLIKE}


def test_negatives_are_inverted(chests, publishers, noise):
    negatives = {name: 255 - grey for name, grey in real_chests(publishers, "kermany", 10, noise).items()}
    negatives["RG1"] = 255 - sample("RG1_UNCR.dcm")
    found = kinds_of(chests, **negatives)
    assert None not in found.values()
    assert list(found.values()).count("inverted") >= 9, found


def test_a_chest_that_lies_on_its_side_stands_out(chests):
    turned = {name: np.rot90(grey) for _, name, grey in chests[60:70]}
    found = kinds_of(chests, **{f"turned {name}": grey for name, grey in turned.items()})
    assert sum(kind is not None for kind in found.values()) >= 6, found


def test_the_order_of_images_does_not_matter(chests):
    images, thumbnails = described([*chests, ("odd", "hand", sample("RG3_UNCR.dcm"))])
    one = oddities(images, thumbnails)
    other = oddities(images.iloc[::-1].reset_index(drop=True), thumbnails[::-1])
    again = other.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, again, rtol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_few_images_are_looked_at(noise, count):
    pictures = [("one", f"{number}", noise.integers(0, 255, (99, 99), np.uint8)) for number in range(count)]
    found = oddities(*described(pictures))
    assert list(found.columns) == ["source", "image", "kind", "value"]
    assert len(found) <= count


def test_nothing_but_blank_images_is_blank():
    found = oddities(
        *described([("one", "a", np.zeros((99, 99), np.uint8)), ("one", "b", np.ones((99, 99), np.uint8))])
    )
    assert found["kind"].tolist() == ["blank", "blank"]
