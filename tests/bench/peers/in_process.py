"""The limit: the chain in one process that does nothing else, as fast as the best of several ways makes it."""

import os
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter

from tests.bench.peers.chain import Chain

_SIZES = (1, 4, 8)
_TRIALS, _TRIAL_SECONDS = 3, 1.0


class InProcess:
    """Answers about the same file again and again.

    Args:
        data: the file.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        processors = os.cpu_count() or 1
        self._chain = Chain(threads=0)
        self._crowded = Chain(threads=0, crowded=True)
        self._processors = processors
        self._pool = ThreadPoolExecutor(processors)
        ways = [(way, size) for way in ("in turn", "pipelined", "side by side") for size in _SIZES]
        trials = [[self._rate(way, size, _TRIAL_SECONDS) for way, size in ways] for _ in range(_TRIALS)]
        rates = [median(of_way) for of_way in zip(*trials, strict=True)]
        self.way, self.size = ways[rates.index(max(rates))]

    def a_second(self, seconds: float) -> float:
        """Answers a second."""
        return self._rate(self.way, self.size, seconds)

    def _rate(self, way: str, size: int, seconds: float) -> float:
        work = {"in turn": self._in_turn, "pipelined": self._pipelined, "side by side": self._side_by_side}[way]
        began = perf_counter()
        answers = work(size, began + seconds)
        return answers / (perf_counter() - began)

    def _in_turn(self, size: int, until: float) -> int:
        """A batch is read by all processors, then scored by all."""
        answers = 0
        while perf_counter() < until:
            batch = self._pool.map(self._chain.read, [self._data] * size)
            answers += len(self._chain.answers(list(batch)))
        return answers

    def _pipelined(self, size: int, until: float) -> int:
        """While a batch is scored, the next is read."""
        answers, ahead = 0, self._begun(size)
        while perf_counter() < until:
            batch, ahead = [one.result() for one in ahead], self._begun(size)
            answers += len(self._chain.answers(batch))
        return answers

    def _begun(self, size: int):
        return [self._pool.submit(self._chain.read, self._data) for _ in range(size)]

    def _side_by_side(self, size: int, until: float) -> int:
        """A thread for each processor reads and scores by itself."""

        def work(_: int) -> int:
            answers = 0
            while perf_counter() < until:
                answers += len(self._crowded.answers([self._crowded.read(self._data) for _ in range(size)]))
            return answers

        return sum(self._pool.map(work, range(self._processors)))
