"""How many images a second the service answers, and others with the same model, engine, radiograph and load.

Everybody is started anew for each turn and is alone on the machine.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from statistics import median
from typing import Any

import httpx

from tests.bench.peers import gradio_load
from tests.bench.peers.chain import Chain
from tests.bench.peers.contenders import GRADIO, PEERS, Settings, running
from tests.bench.peers.film import film
from tests.bench.peers.in_process import InProcess
from tests.bench.peers.ours import ROUTE, service
from tests.bench.peers.wrk import load

ROUNDS, LOAD_SECONDS, TRIAL_SECONDS, WARM_UP_SECONDS = 3, 8, 4, 2
TOLERANCE = 1e-3
OURS, LIMIT = "thorax serve", "in process"
_PROCESSORS = os.cpu_count() or 1
_WAYS_OF_OURS: tuple[dict[str, object], ...] = (
    {},
    {"engine_threads": 1, "reading_workers": 1, "min_replicas": _PROCESSORS, "max_replicas": _PROCESSORS},
)
_PATIENCE_SECONDS = 60
Rate = Callable[[float], float]
Turn = Callable[[], AbstractContextManager[Rate]]


def throughput() -> dict[str, float]:
    """Images a second with 16 clients, JPEG in and JSON out, and how many times as many the service answers."""
    limit = InProcess(film().body)
    _say(f"{LIMIT}: {limit.way} with batches of {limit.size}")
    turns: dict[str, Turn] = {LIMIT: lambda: nullcontext(limit.a_second), OURS: partial(_ours, _chosen_of_ours())}
    turns |= {name: partial(_peer, name, settings) for name, settings in _chosen().items()}
    found: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(ROUNDS):
        for name, turn in turns.items():
            found[name].append(_measured(turn, LOAD_SECONDS))
    rates = {name: median(of_rounds) for name, of_rounds in found.items()}
    return {f"{name}, images a second": rate for name, rate in rates.items()} | {
        f"{OURS}, times {name}": rates[OURS] / rate for name, rate in rates.items() if name != OURS
    }


def _measured(turn: Turn, seconds: float) -> float:
    with turn() as rate:
        rate(WARM_UP_SECONDS)
        return rate(seconds)


def _chosen_of_ours() -> dict[str, object]:
    """Of our own service, too, the fastest settings."""
    rates = []
    for settings in _WAYS_OF_OURS:
        rates.append(_measured(partial(_ours, settings), TRIAL_SECONDS))
        _say(f"{OURS} with {settings}: {rates[-1]:.1f} images a second")
    return _WAYS_OF_OURS[rates.index(max(rates))]


def _chosen() -> dict[str, Settings]:
    """Of each peer that can be had here the fastest settings."""
    chosen = {}
    for name, peer in PEERS.items():
        try:
            trials = [_trial(name, settings) for settings in peer.settings]
        except subprocess.CalledProcessError:
            _say(f"{name} is left out: its environment cannot be made here, see above.")
            continue
        chosen[name] = peer.settings[trials.index(max(trials))]
    return chosen


def _trial(name: str, settings: Settings) -> float:
    found = _measured(partial(_peer, name, settings), TRIAL_SECONDS)
    _say(f"{name} with {settings}: {found:.1f} images a second")
    return found


@contextmanager
def _ours(settings: dict[str, object]) -> Iterator[Rate]:
    picture = film()
    with service(**settings) as started:
        url = started.address + ROUTE
        _check(OURS, httpx.post(url, content=picture.body, timeout=_PATIENCE_SECONDS).json())
        yield lambda seconds: load(url, picture, seconds).a_second


@contextmanager
def _peer(name: str, settings: Settings) -> Iterator[Rate]:
    message = PEERS[name].message()
    with running(name, settings) as address, httpx.Client(base_url=address, timeout=_PATIENCE_SECONDS) as client:
        if name == GRADIO:
            _check(name, gradio_load.ask(client, message))
            yield lambda seconds: gradio_load.load(address, message, seconds).a_second
        else:
            headers = {"Content-Type": message.content_type}
            _check(name, client.post("/predict", content=message.body, headers=headers).json())
            yield lambda seconds: load(f"{address}/predict", message, seconds).a_second


def _check(name: str, answer: Any) -> None:
    expected, received = _expected(), _scores(answer)
    if expected.keys() != received.keys() or any(abs(received[one] - expected[one]) > TOLERANCE for one in expected):
        raise RuntimeError(f"Expected of {name} the scores {expected}, but received {received}.")


@cache
def _expected() -> Mapping[str, float]:
    return _scores(json.loads(Chain(threads=0).answer(film().body)))


def _scores(answer: Any) -> Mapping[str, float]:
    """By finding; BentoML answers a batch, and Gradio with the scores alone."""
    answer = answer[0] if isinstance(answer, list) else answer
    return {one["finding"]: one["score"] for one in answer["findings"]} if "findings" in answer else answer


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
