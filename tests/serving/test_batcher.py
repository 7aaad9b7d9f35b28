"""Batches of whatever waits; nobody's answer depends on who is scored beside."""

import asyncio
import threading
from dataclasses import dataclass, field

import numpy as np
import onnx
import pytest

from models.bundle import GATES, GRAPH, KERAS_MODEL, Bundle, load_bundle
from models.bundle_writing import write_bundle
from models.errors import MalformedFileError, OutputError
from models.radiograph import RadiographTags
from serving.batcher import Batcher
from serving.readers import Reading
from tests.conftest import CARD
from tests.serving.networks import overflowing


@pytest.fixture(scope="module")
def inputs(bundle):
    rng = np.random.default_rng(5)
    return [rng.random(bundle.manifest.preprocessing.image_shape, np.float32) for _ in range(9)]


@dataclass
class Watched:
    """A bundle whose batches are counted, and which waits until it may begin."""

    bundle: Bundle
    sizes: list = field(default_factory=list)
    crowded: list = field(default_factory=list)
    may_begin: threading.Event = field(default_factory=threading.Event)

    def score(self, inputs, crowded):
        self.sizes.append(len(inputs))
        self.crowded.append(crowded)
        self.may_begin.wait(60)
        return self.bundle.score(inputs, crowded)


def reading(model_input):
    """What reads a file that gives this model input."""
    return lambda: Reading(RadiographTags(), model_input, None, 0.0, 0.0)


def score(batcher, bundle, model_input):
    return asyncio.create_task(batcher.score(bundle, reading(model_input)))


async def scored(batcher, bundle, inputs):
    return await asyncio.gather(*(score(batcher, bundle, one) for one in inputs))


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_each_gets_its_own_prediction(bundle, inputs):
    async def ask():
        return await scored(Batcher(4, 0, workers=1), bundle, inputs)

    answers = asyncio.run(ask())
    for one, answer in zip(inputs, answers, strict=True):
        assert answer.prediction.scores == pytest.approx(bundle.score([one])[0].scores, abs=1e-5)


def test_what_comes_while_the_engine_is_busy_is_the_next_batch(bundle, inputs):
    watched = Watched(bundle)

    async def ask():
        batcher = Batcher(4, 0, workers=1)
        first = score(batcher, watched, inputs[0])
        await asyncio.sleep(0.1)  # it has gone to the engine alone
        others = asyncio.create_task(scored(batcher, watched, inputs[1:]))
        await asyncio.sleep(0.1)
        watched.may_begin.set()
        await asyncio.gather(first, others)

    asyncio.run(ask())
    assert watched.sizes == [1, 4, 4]


def test_workers_share_what_waits_and_each_keeps_to_one_processor(bundle, inputs):
    watched = Watched(bundle)

    async def ask():
        batcher = Batcher(4, 0, workers=2)
        asked = []
        for at_work in (1, 2):
            asked.append(score(batcher, watched, inputs[at_work]))
            await until(lambda at_work=at_work: len(watched.sizes) == at_work)
        others = asyncio.create_task(scored(batcher, watched, inputs[:4]))
        await asyncio.sleep(0.1)
        watched.may_begin.set()
        await asyncio.gather(others, *asked)

    asyncio.run(ask())
    assert watched.sizes[:3] == [1, 1, 2]
    assert sum(watched.sizes) == 6
    assert watched.crowded[1:] == [True] * (len(watched.sizes) - 1)


def test_one_with_nobody_beside_it_gets_all_processors(bundle, inputs):
    watched = Watched(bundle)
    watched.may_begin.set()

    async def ask():
        batcher = Batcher(4, 0, workers=2)
        for one in inputs[:3]:
            await score(batcher, watched, one)

    asyncio.run(ask())
    assert watched.crowded == [False] * 3


def test_a_free_engine_waits_for_a_full_batch_as_long_as_it_is_told(bundle, inputs):
    watched = Watched(bundle)
    watched.may_begin.set()

    async def ask():
        batcher = Batcher(2, 1800, workers=1)
        alone = score(batcher, watched, inputs[0])
        await asyncio.sleep(0.3)
        assert not alone.done()
        await asyncio.gather(alone, score(batcher, watched, inputs[1]))

    asyncio.run(ask())
    assert watched.sizes == [2]


def test_a_batch_is_of_one_bundle_and_nobody_is_left_behind(bundle, inputs):
    one, other = Watched(bundle), Watched(bundle)

    async def ask():
        batcher = Batcher(4, 0, workers=1)
        asked = [score(batcher, (one, other)[i % 2], data) for i, data in enumerate(inputs)]
        await asyncio.sleep(0.1)
        one.may_begin.set(), other.may_begin.set()
        return await asyncio.gather(*asked)

    assert len(asyncio.run(ask())) == len(inputs)
    assert sum(one.sizes) == 5
    assert sum(other.sizes) == 4
    assert len(one.sizes) + len(other.sizes) < len(inputs)


def test_who_gives_up_is_not_scored(bundle, inputs):
    watched = Watched(bundle)

    async def ask():
        batcher = Batcher(4, 0, workers=1)
        first = score(batcher, watched, inputs[0])
        await asyncio.sleep(0.1)
        given_up, patient = (score(batcher, watched, one) for one in inputs[1:3])
        await asyncio.sleep(0)
        given_up.cancel()
        watched.may_begin.set()
        await asyncio.gather(first, patient)

    asyncio.run(ask())
    assert watched.sizes == [1, 1]


@pytest.fixture(scope="module")
def fragile(exported, manifest, tmp_path_factory):
    """A bundle whose scores are finite for a black picture only."""
    folder = tmp_path_factory.mktemp("fragile")
    network = folder / "network"
    network.mkdir()
    for name in (KERAS_MODEL, GATES):
        (network / name).write_bytes((exported / name).read_bytes())
    onnx.save(overflowing(exported), network / GRAPH)
    write_bundle(folder / "bundle", network, manifest, CARD)
    return load_bundle(folder / "bundle")


def test_one_that_fails_does_not_harm_its_neighbours(fragile, inputs):
    black = np.zeros_like(inputs[0])

    async def ask():
        batcher = Batcher(4, 0, workers=1)
        asked = (score(batcher, fragile, one) for one in (black, inputs[0], black, inputs[1]))
        return await asyncio.gather(*asked, return_exceptions=True)

    outcomes = asyncio.run(ask())
    assert [isinstance(outcome, OutputError) for outcome in outcomes] == [False, True, False, True]


def test_one_that_cannot_be_read_does_not_harm_its_neighbours(bundle, inputs):
    watched = Watched(bundle)
    watched.may_begin.set()

    def unreadable():
        raise MalformedFileError(format="PNG", reason="it is empty")

    async def ask():
        batcher = Batcher(2, 1800, workers=1)
        refused = asyncio.create_task(batcher.score(watched, unreadable))
        return await asyncio.gather(refused, score(batcher, watched, inputs[0]), return_exceptions=True)

    refused, answered = asyncio.run(ask())
    assert isinstance(refused, MalformedFileError)
    assert answered.prediction.scores == pytest.approx(bundle.score(inputs[:1])[0].scores, abs=1e-5)
    assert watched.sizes == [1]
    assert answered.queue_seconds >= 0
