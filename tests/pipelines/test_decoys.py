"""Decoys are usable pictures of every kind, follow from the seed, and leave the chests they are made from alone."""

import numpy as np
import pytest

from models.preprocessing import Preprocessor
from models.radiograph import Radiograph
from pipelines.decoys import decoys
from pipelines.decoys.chests import detail, inverted, turned, two_up
from pipelines.decoys.photographs import SAMPLES

ROUND = 24
"""After so many, each kind has come."""


@pytest.fixture
def chests(noise):
    """Grey ramps that tell up from down and left from right, of both depths and of unlike sizes."""
    ramps = [np.add.outer(np.arange(height), 2 * np.arange(width)) for height, width in [(90, 70), (64, 120)]]
    eight, sixteen = (ramp * 255 // ramp.max() for ramp in ramps)
    return [Radiograph(eight.astype(np.uint8)), Radiograph((sixteen * 257).astype(np.uint16))]


def test_they_are_pictures_that_a_preprocessor_takes(chests, noise):
    made = decoys(chests, ROUND, noise)
    assert len(made) == ROUND
    preprocessing = Preprocessor(height_px=32, width_px=32, crop_borders=True, tone="equalised")
    for decoy in made:
        assert decoy.levels.dtype in (np.uint8, np.uint16)
        assert np.isfinite(preprocessing(decoy)).all()


def test_the_same_seed_gives_the_same_and_another_others(chests):
    def made(seed):
        return [decoy.levels for decoy in decoys(chests, ROUND, np.random.default_rng(seed))]

    first, again, others = made(1), made(1), made(2)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert sum(np.array_equal(one, two) for one, two in zip(first, others, strict=True)) < ROUND / 4


def test_the_chests_are_left_as_they_were(chests, noise):
    before = [chest.levels.copy() for chest in chests]
    decoys(chests, ROUND, noise)
    assert all(np.array_equal(chest.levels, old) for chest, old in zip(chests, before, strict=True))


def test_without_chests_the_others_are_drawn(noise):
    assert len(decoys([], 5, noise)) == 5


def test_none_are_none(chests, noise):
    assert decoys(chests, 0, noise) == []


def test_a_turned_chest_lies_or_stands_on_its_head(chests, noise):
    expected = {np.rot90(chests[0].levels, turns).tobytes() for turns in (1, 2, 3)}
    assert {turned(chests[:1], noise).levels.tobytes() for _ in range(30)} == expected


@pytest.mark.parametrize(("place", "white"), [(0, 255), (1, 65535)])
def test_an_inverted_chest_has_its_greys_the_other_way_round(chests, noise, place, white):
    levels = inverted(chests[place : place + 1], noise).levels
    assert levels.dtype == chests[place].levels.dtype
    assert (levels.astype(int) + chests[place].levels == white).all()


def test_a_detail_is_at_most_a_third_of_each_side_and_often_a_corner(chests, noise):
    made = [detail(chests[:1], noise).levels for _ in range(60)]
    assert max(levels.shape[0] for levels in made) <= 30
    assert max(levels.shape[1] for levels in made) <= 23
    assert sum(levels[0, 0] == 0 or levels[-1, -1] == 255 for levels in made) >= 5


def test_two_chests_lie_side_by_side(chests, noise):
    levels = two_up(chests[:1], noise).levels
    half = levels.shape[1] // 2
    assert np.array_equal(levels[:, :half], levels[:, half:])


def test_every_sample_is_in_the_wheels_and_those_of_the_checks_are_not_learnt(noise, monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr("socket.socket.connect", refuse)
    from pipelines.decoys.photographs import _sample

    for name in SAMPLES:
        grey = _sample(name)
        assert grey.ndim == 2
        assert grey.min() >= 0
        assert 0.1 < grey.max() <= 1
    assert {"camera", "flower.jpg"}.isdisjoint(SAMPLES)
