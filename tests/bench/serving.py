"""`python -m tests.bench.serving [FIGURES]`: the service beside others, and what it costs in time and memory.

The same released model, engine and JPEG of 1024 px for everybody; who is compared takes turns within each round.
"""

import http.client
import os
import sys
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter, sleep
from urllib.parse import urlsplit

import httpx
import numpy as np

from tests.bench.peers.chain import Chain
from tests.bench.peers.film import Message, film
from tests.bench.peers.flood import flood
from tests.bench.peers.ours import ROUTE, service
from tests.bench.peers.processes import family, named, pss_mib, rss_mib
from tests.bench.peers.race import LIMIT, throughput
from tests.bench.peers.wrk import is_installed, load
from tests.conftest import Service

LOAD_SECONDS, WARM_UP_SECONDS = 8, 2
CALL_ROUNDS, CALLS, REST_SECONDS = 7, 20, 0.3
TIMES_THE_PEAK, FLOOD_SECONDS, BEFORE_SECONDS = 5, 60, 10
WARM_UP_REQUESTS, REQUESTS = 500, 2_000


def latency() -> dict[str, float]:
    """What a lone client waits for besides the work itself."""
    picture, chain = film(), Chain(threads=0)
    with service() as running:
        taken = _milliseconds(
            {"over HTTP": _asking(running, picture, ROUTE), LIMIT: lambda: chain.answer(picture.body)}
        )
    return {f"{name}, p50 in ms": found for name, found in taken.items()} | {
        "added, p50 in ms": taken["over HTTP"] - taken[LIMIT]
    }


def explanation() -> dict[str, float]:
    """What a heat map costs, as a picture and as numbers, as a multiple of a prediction."""
    routes = {"prediction": ROUTE, "numbers": f"{ROUTE}?explain=true", "picture": "/v1/explanations?finding=Effusion"}
    picture = film()
    with service() as running:
        taken = _milliseconds({name: _asking(running, picture, route) for name, route in routes.items()})
    return {"prediction, p50 in ms": taken["prediction"]} | {
        f"with {name}, times a prediction": taken[name] / taken["prediction"] for name in ("numbers", "picture")
    }


def _asking(running: Service, message: Message, route: str) -> Callable[[], None]:
    connection = http.client.HTTPConnection(urlsplit(running.address).netloc)

    def ask() -> None:
        connection.request("POST", route, message.body, {"Content-Type": message.content_type})
        answer = connection.getresponse()
        answer.read()
        if answer.status != httpx.codes.OK:
            raise RuntimeError(f"Expected an answer of {route}, but received {answer.status}.")

    return ask


def _milliseconds(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The median time of each, taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(CALL_ROUNDS + 1):
        for name, call in calls.items():
            sleep(REST_SECONDS)  # the threads of the one before go on spinning for a while
            call()
            for _ in range(CALLS if number else 0):
                started = perf_counter()
                call()
                taken[name].append((perf_counter() - started) * 1000)
    return {name: median(times) for name, times in taken.items()}


def overload() -> dict[str, float]:
    """What comes of five times as many requests as can be answered."""
    picture = film()
    with service() as running:
        url = running.address + ROUTE
        load(url, picture, WARM_UP_SECONDS)
        peak = load(url, picture, LOAD_SECONDS).a_second
        flood(url, picture, TIMES_THE_PEAK * peak, BEFORE_SECONDS)  # what a flood takes, it takes once
        replica = named(family(os.getpid()), "ray::ServeReplica:thorax:api")
        before = rss_mib(replica)
        made = flood(url, picture, TIMES_THE_PEAK * peak, FLOOD_SECONDS)
        after = rss_mib(replica)
        peak = (peak + load(url, picture, LOAD_SECONDS).a_second) / 2  # the machine's own speed drifts meanwhile
    answered = [reply.seconds for reply in made.replies if reply.status == httpx.codes.OK]
    refused = [one for one in made.replies if one.status == httpx.codes.SERVICE_UNAVAILABLE and one.retry_after]
    return {
        "asked a second, times the peak": len(made.replies) / made.seconds / peak,
        "answered a second, times the peak": len(answered) / made.seconds / peak,
        "answered, p99 in seconds": float(np.quantile(answered, 0.99)),
        "refused with Retry-After, %": 100 * len(refused) / len(made.replies),
        "neither, %": 100 * (1 - (len(answered) + len(refused)) / len(made.replies)),
        "memory of the replica, times that before": after / before,
        "processors that asking took": made.busy,
    }


def memory(requests: int = REQUESTS) -> dict[str, float]:
    """Memory of the service and all that it started, idle and after so many requests."""
    picture = film()
    with service() as running:
        processes = named(family(os.getpid()), "thorax\0serve")
        held = {"idle": pss_mib(family(processes))}
        answered = 0
        for name, until in (("warm", WARM_UP_REQUESTS), ("after all", requests)):
            while answered < until:
                answered += load(running.address + ROUTE, picture, LOAD_SECONDS).answers
            held[name] = pss_mib(family(processes))
    return {f"{name}, MiB": mib for name, mib in held.items()} | {
        f"growth over {answered} requests, %": 100 * (held["after all"] / held["idle"] - 1),
        "growth since it was warm, %": 100 * (held["after all"] / held["warm"] - 1),
    }


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


FIGURES: Mapping[str, Callable[[], dict[str, float]]] = {
    measure.__name__: measure for measure in (throughput, latency, overload, explanation, memory)
}


def figures() -> dict[str, dict[str, float]]:
    """All of them; none without the load generator."""
    if not is_installed():
        _say("Serving is not measured, for the load generator is not here. Run: apt-get install wrk")
        return {}
    return {f"serving, {name}": measure() for name, measure in FIGURES.items()}


def main(which: str, *numbers: str) -> None:
    for what, figure in FIGURES[which](*(int(number) for number in numbers)).items():
        _say(f"{what}\t{figure:.4g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
