"""Model inputs that wait for the engine, and leave it as batches."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition, Thread
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle, Prediction
from models.errors import OutputError


@dataclass(frozen=True, slots=True)
class Scored:
    """A prediction, and what it took.

    Attributes:
        prediction: of one model input.
        queue_seconds: that it waited.
        infer_seconds: of its batch.
    """

    prediction: Prediction
    queue_seconds: float
    infer_seconds: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    bundle: Bundle
    model_input: NDArray[np.float32]
    since: float
    scored: Future[Scored]


class Batcher:
    """Scores batch after batch on one thread; whatever waits for a bundle once the engine is free is its next batch.

    So a radiograph that comes alone does not wait, and the more come, the larger the batches. Serve's own batches are
    gathered before there is an engine to score them, which either makes the single one wait or leaves batches of one.
    The thread takes its next batch by itself: if the event loop handed it over, the engine would wait for the loop.

    Args:
        max_size: of a batch.
        wait_seconds: that the first of a batch waits for others, though the engine is free.
    """

    def __init__(self, max_size: int, wait_seconds: float) -> None:
        self._max_size = max_size
        self._wait_seconds = wait_seconds
        self._waiting: deque[_Waiting] = deque()
        self._arrived = Condition()
        Thread(target=self._work, name="scoring", daemon=True).start()

    async def score(self, bundle: Bundle, model_input: NDArray[np.float32]) -> Scored:
        """The prediction of what `bundle.preprocess` gave.

        Raises:
            OutputError: a score is not finite.
        """
        one = _Waiting(bundle, model_input, perf_counter(), Future())
        with self._arrived:
            self._waiting.append(one)
            self._arrived.notify()
        return await asyncio.wrap_future(one.scored)

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:  # nobody waits for any of them any more
                continue
            started = perf_counter()
            outcomes = _outcomes(batch[0].bundle, [one.model_input for one in batch])
            seconds = perf_counter() - started
            for one, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    one.scored.set_exception(outcome)
                else:
                    one.scored.set_result(Scored(outcome, started - one.since, seconds))

    def _next_batch(self) -> list[_Waiting]:
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting)
            patience = self._waiting[0].since + self._wait_seconds - perf_counter()
            self._arrived.wait_for(lambda: len(self._waiting) >= self._max_size, max(0.0, patience))
            return self._taken()

    def _taken(self) -> list[_Waiting]:
        """The longest waiting and those behind it that are for the same bundle; who gave up is left out."""
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        while self._waiting and len(batch) < self._max_size:
            one = self._waiting.popleft()
            if batch and one.bundle is not batch[0].bundle:
                others.append(one)
            elif one.scored.set_running_or_notify_cancel():
                batch.append(one)
        self._waiting.extendleft(reversed(others))
        return batch


def _outcomes(bundle: Bundle, inputs: Sequence[NDArray[np.float32]]) -> Sequence[Prediction | Exception]:
    """Of each input its prediction or what went wrong with it; one that fails does not harm its neighbours."""
    try:
        return bundle.score(inputs)
    except OutputError as error:
        return [error] if len(inputs) == 1 else [_outcomes(bundle, [one])[0] for one in inputs]
    except Exception as error:
        return [error] * len(inputs)
