"""Files that wait for the engine, and leave it as batches."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from math import ceil
from threading import Condition, Lock, Thread
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle, Prediction
from models.errors import OutputError
from serving.readers import Reading


@dataclass(frozen=True, slots=True)
class Scored:
    """A prediction, and what it took.

    Attributes:
        reading: what is predicted about.
        prediction: of its model input.
        queue_seconds: that it waited for others.
        infer_seconds: of its batch.
    """

    reading: Reading
    prediction: Prediction
    queue_seconds: float
    infer_seconds: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    bundle: Bundle
    read: Callable[[], Reading]
    since: float
    scored: Future[Scored]


@dataclass(frozen=True, slots=True)
class _Read:
    reading: Reading
    seconds: float


class Batcher:
    """Reads and scores batch after batch; what waits for a bundle once a worker is free is its next batch.

    So a radiograph that comes alone does not wait, and the more come, the larger the batches. Serve's own batches are
    gathered before there is an engine to score them, which either makes the single one wait or leaves batches of one.

    There is a worker for each processor, and it reads and scores its batch by itself: handed from thread to thread, or
    shared by several, a batch waits for whoever is the last. A single radiograph with nobody beside it is scored by all
    processors. Workers take their next batch by themselves: if the event loop gave it, they would wait for the loop.

    Args:
        max_size: of a batch.
        wait_seconds: that the first of a batch waits for others, though a worker is free; 0 to share what waits among
            the workers, so that none is idle while another has several.
        workers: 0 for one a processor.
    """

    def __init__(self, max_size: int, wait_seconds: float, workers: int) -> None:
        self._max_size = max_size
        self._wait_seconds = wait_seconds
        self._workers = workers or os.cpu_count() or 1
        self._waiting: deque[_Waiting] = deque()
        self._arrived = Condition()
        self._turn = Lock()
        self._at_work = 0
        for number in range(self._workers):
            Thread(target=self._work, name=f"scoring-{number}", daemon=True).start()

    async def score(self, bundle: Bundle, read: Callable[[], Reading]) -> Scored:
        """The prediction about what `read` gives, which any thread may be asked to.

        Raises:
            OutputError: a score is not finite.
            Exception: whatever `read` raises.
        """
        one = _Waiting(bundle, read, perf_counter(), Future())
        with self._arrived:
            self._waiting.append(one)
            self._arrived.notify()
        return await asyncio.wrap_future(one.scored)

    def _work(self) -> None:
        while True:
            with self._turn:  # one worker at a time waits for what comes
                batch, crowded = self._next_batch()
            answers = _answers(batch, crowded)
            with self._arrived:  # before anybody is told, for who asks next would find a crowd
                self._at_work -= 1
            for one, answer in answers:
                if isinstance(answer, Exception):
                    one.scored.set_exception(answer)
                else:
                    one.scored.set_result(answer)

    def _next_batch(self) -> tuple[list[_Waiting], bool]:
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting)
            patience = self._waiting[0].since + self._wait_seconds - perf_counter()
            self._arrived.wait_for(lambda: len(self._waiting) >= self._max_size, max(0.0, patience))
            fair = ceil(len(self._waiting) / self._workers)
            batch = self._taken(self._max_size if self._wait_seconds else min(self._max_size, fair))
            self._at_work += 1
            return batch, self._at_work > 1 or len(batch) > 1 or bool(self._waiting)

    def _taken(self, most: int) -> list[_Waiting]:
        """The longest waiting and those behind it that are for the same bundle; who gave up is left out."""
        batch: list[_Waiting] = []
        others: deque[_Waiting] = deque()
        while self._waiting and len(batch) < most:
            one = self._waiting.popleft()
            if batch and one.bundle is not batch[0].bundle:
                others.append(one)
            elif one.scored.set_running_or_notify_cancel():
                batch.append(one)
        self._waiting.extendleft(reversed(others))
        return batch


def _answers(batch: Sequence[_Waiting], crowded: bool) -> list[tuple[_Waiting, Scored | Exception]]:
    """To each what is said of it; one that cannot be read, or fails, does not harm its neighbours."""
    read = [(one, _read(one)) for one in batch]
    good = [(one, outcome) for one, outcome in read if isinstance(outcome, _Read)]
    answers: list[tuple[_Waiting, Scored | Exception]]
    answers = [(one, outcome) for one, outcome in read if isinstance(outcome, Exception)]
    if not good:  # nobody waits for any of them any more, or none can be read
        return answers
    started = perf_counter()
    outcomes = _outcomes(batch[0].bundle, [done.reading.model_input for _, done in good], crowded)
    seconds = perf_counter() - started
    for (one, done), outcome in zip(good, outcomes, strict=True):
        if isinstance(outcome, Exception):
            answers.append((one, outcome))
        else:
            waited = started - one.since - done.seconds
            answers.append((one, Scored(done.reading, outcome, waited, seconds)))
    return answers


def _read(one: _Waiting) -> _Read | Exception:
    began = perf_counter()
    try:
        return _Read(one.read(), perf_counter() - began)
    except Exception as error:  # whatever it is, it is the answer to this one alone
        return error


def _outcomes(bundle: Bundle, inputs: Sequence[NDArray[np.float32]], crowded: bool) -> Sequence[Prediction | Exception]:
    """Of each input its prediction or what went wrong with it."""
    try:
        return bundle.score(inputs, crowded)
    except OutputError as error:
        return [error] if len(inputs) == 1 else [_outcomes(bundle, [one], crowded)[0] for one in inputs]
    except Exception as error:
        return [error] * len(inputs)
