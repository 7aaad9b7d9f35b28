"""How alike two thumbnails are: nearly one for copies, low for others, whichever of the two comes first."""

import cv2
import numpy as np
import pytest

from pipelines.audit.likeness import DESCRIPTOR_LENGTH, Likeness, descriptor, likeness, view
from pipelines.facts import THUMBNAIL_PX
from tests.pipelines.audit.copies import KINDS, distorted
from tests.pipelines.audit.pictures import real_chests

SHAPE = (THUMBNAIL_PX, THUMBNAIL_PX)
NO_MARGINS = np.zeros(4)


def thumbnail(grey):
    return np.asarray(cv2.resize(grey, SHAPE, interpolation=cv2.INTER_AREA), np.uint8)


def landscape(seed, side_px=192):
    """Smooth noise, which can be registered as a radiograph can."""
    noise = np.random.default_rng(seed).normal(size=(side_px, side_px))
    smooth = sum(cv2.GaussianBlur(noise, (0, 0), blur) * blur for blur in (3, 8, 20))
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_alike(noise, kind):
    for seed in range(10):
        grey = landscape(seed)
        like = likeness(thumbnail(grey), thumbnail(distorted(grey, kind, noise)))
        assert like.correlation > 0.85
        if kind != "all":
            assert like.inverted == (kind == "invert")


def test_an_image_is_like_itself_and_its_negative_like_its_negative():
    grey = thumbnail(landscape(1))
    assert likeness(grey, grey).correlation == pytest.approx(1, abs=1e-3)
    assert likeness(grey, 255 - grey).correlation == pytest.approx(1, abs=1e-3)
    assert not likeness(grey, grey).inverted
    assert likeness(grey, 255 - grey).inverted
    assert likeness(255 - grey, grey).inverted


def test_unrelated_pictures_are_not_alike():
    for seed in range(10):
        assert likeness(thumbnail(landscape(seed)), thumbnail(landscape(seed + 100))).correlation < 0.4


def test_what_is_moved_further_than_a_crop_moves_it_is_not_alike():
    whole = landscape(1, 300)
    one, far = whole[:200, :200], whole[100:, 100:]
    assert likeness(thumbnail(one), thumbnail(far)).correlation < 0.4


def test_of_two_real_chests_the_order_matters_little(publishers, noise):
    chests = [thumbnail(grey) for grey in real_chests(publishers, "nih_chestxray14", 12, noise).values()]
    copies = [thumbnail(distorted(chest, "all", noise)) for chest in chests]
    for one, other in zip(chests, copies, strict=True):
        there, back = likeness(one, other), likeness(other, one)
        assert there.correlation == pytest.approx(back.correlation, abs=0.05)
        assert there.inverted == back.inverted


def test_chests_of_different_patients_stay_well_below_the_threshold(publishers, noise):
    chests = [thumbnail(grey) for grey in real_chests(publishers, "shenzhen", 12, noise).values()]
    figures = [likeness(one, other).correlation for place, one in enumerate(chests) for other in chests[:place]]
    assert max(figures) < 0.6


def test_blank_thumbnails_are_like_nothing():
    blank, grey = np.full(SHAPE, 128, np.uint8), thumbnail(landscape(1))
    for one, other in ((blank, blank), (blank, grey), (grey, blank)):
        assert likeness(one, other) == Likeness(0.0, inverted=False)


def test_a_descriptor_is_of_unit_length_and_knows_no_window():
    grey = thumbnail(landscape(1)) // 2
    vector = descriptor(grey)
    assert vector.shape == (DESCRIPTOR_LENGTH,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert vector.mean() == pytest.approx(0, abs=1e-5)
    assert descriptor(2 * grey + 1) @ vector == pytest.approx(1, abs=1e-3)
    assert descriptor(255 - grey) @ vector == pytest.approx(-1, abs=1e-3)


def test_a_blank_thumbnail_has_a_descriptor_of_zeros():
    assert not descriptor(np.full(SHAPE, 7, np.uint8)).any()


def test_a_view_without_margins_is_the_thumbnail():
    grey = thumbnail(landscape(1))
    assert np.array_equal(view(grey, NO_MARGINS), grey)


@pytest.mark.parametrize(
    ("side", "hidden"), [(0, np.s_[:, :24]), (1, np.s_[:24]), (2, np.s_[:, -24:]), (3, np.s_[-24:])]
)
def test_margins_are_of_the_left_the_top_the_right_and_the_bottom(side, hidden):
    grey = np.full(SHAPE, 200, np.uint8)
    grey[hidden] = 0
    margins = NO_MARGINS.copy()
    margins[side] = 0.25
    seen = view(grey, margins)
    assert seen.shape == SHAPE
    assert (seen == 200).all()
