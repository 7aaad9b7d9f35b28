"""A heat map lies where the model looked, and shows in colours that all can tell apart."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from models.explain import Overlay, caption, place_map
from models.radiograph import Radiograph


@pytest.fixture
def heat(noise):
    return noise.random((7, 7), np.float32) + np.float32(0.1)


def test_a_map_is_interpolated_linearly_between_the_middles_of_its_places(heat):
    placed = place_map(heat, (0, 0, 70, 140), (140, 70))
    rows, columns = np.meshgrid((np.arange(140) + 0.5) / 20 - 0.5, (np.arange(70) + 0.5) / 10 - 0.5, indexing="ij")
    expected = map_coordinates(heat, [rows, columns], order=1, mode="nearest")
    assert placed == pytest.approx(expected / expected.max(), abs=1e-5)
    assert placed.dtype == np.float32


def test_outside_of_what_the_model_saw_it_is_cold(heat):
    placed = place_map(heat, (10, 20, 60, 90), (100, 80))
    assert placed.shape == (100, 80)
    seen = np.zeros((100, 80), bool)
    seen[20:90, 10:60] = True
    assert (placed[seen] > 0).all()
    assert (placed[~seen] == 0).all()


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_its_maximum_is_one_whatever_it_was(heat, factor):
    placed = place_map(heat * np.float32(factor), (0, 0, 50, 40), (40, 50))
    assert placed.max() == 1
    assert placed.min() >= 0


def test_a_map_without_heat_stays_so():
    assert not place_map(np.zeros((7, 7), np.float32), (0, 0, 50, 40), (40, 50)).any()


def test_a_radiograph_smaller_than_the_map_has_one_all_the_same(heat):
    assert place_map(heat, (1, 1, 4, 4), (5, 5)).max() == 1


@pytest.fixture
def radiograph(noise):
    return Radiograph(noise.integers(0, 65536, (40, 60), np.uint16))


def test_where_it_is_cold_the_radiograph_is_as_it_was(radiograph):
    picture = Overlay(radiograph, np.zeros((40, 60), np.float32))[:]
    assert picture.shape == (40, 60, 3)
    assert (picture == np.rint(radiograph.levels / 257)[..., np.newaxis]).all()


def test_heat_has_the_colours_of_viridis():
    black = Radiograph(np.zeros((1, 256), np.uint8))
    heat = np.linspace(0, 1, 256, dtype=np.float32)[np.newaxis]
    viridis = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[np.newaxis], cv2.COLORMAP_VIRIDIS)[..., ::-1]
    assert Overlay(black, heat)[:] == pytest.approx(0.6 * heat[..., np.newaxis] * viridis, abs=4)


def test_the_radiograph_shows_through_the_hottest_place():
    heat = np.ones((1, 2), np.float32)
    black, white = Overlay(Radiograph(np.array([[0, 255]], np.uint8)), heat)[:][0].astype(int)
    assert (white - black == 102).all()  # 40 % of 255


def test_an_outline_is_white(radiograph):
    outline = np.zeros((40, 60), bool)
    outline[5, 10:20] = True
    picture = Overlay(radiograph, np.ones((40, 60), np.float32), outline)[:]
    assert (picture[outline] == 255).all()
    assert (picture[~outline].min(axis=-1) < 255).all()


@pytest.mark.parametrize("rows", [slice(0, 7), slice(7, 40), slice(30, 60)])
def test_rows_are_those_of_the_whole(radiograph, noise, rows):
    heat, outline = noise.random((40, 60), np.float32), noise.random((40, 60)) > 0.9
    picture = Overlay(radiograph, heat, outline)
    assert picture.shape == (40, 60, 3)
    assert (picture[rows] == picture[:][rows]).all()


@pytest.mark.parametrize("width", [40, 1024])
def test_a_caption_has_the_colours_of_the_map_and_text(width):
    below = caption(["Effusion: present", "Research use. Not for diagnosis. " * 4], width)
    assert below.shape[1] == max(width, 360)
    assert len(np.unique(below.reshape(-1, 3), axis=0)) > 100


def test_a_long_line_is_broken_and_not_cut():
    short, long = (caption([line], 400) for line in ("word", "word " * 60))
    assert len(long) > len(short)
    assert not long[:, -5:].any()


def test_a_word_that_is_broader_than_the_caption_is_cut_off():
    assert caption(["version", "x" * 200], 40)[-20:, 300:].any()
