"""What a shadow of everything costs those who ask, while the processor has idle time and while it has none."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from models.registry import PRODUCTION, SHADOW, Registry
from tests.bench.swapping import film, registry_of_two
from tests.conftest import Service, running_service
from tests.serving.live import metric

ROUNDS = 6
SPARE_REQUESTS, SPARE_PAUSE_SECONDS = 60, 0.15
BUSY_CLIENTS, BUSY_REQUESTS = 12, 600


def shadow_figures(exported: Path) -> dict[str, float]:
    """Median seconds to an answer with a shadow at 100 %, as a multiple of that without; and what came of the copies.

    Args:
        exported: holds the baseline network as `export_network` writes it.
    """
    loads: dict[str, Callable[[httpx.Client, bytes], list[float]]] = {"spare": _spare, "no spare": _busy}
    taken: dict[tuple[str, bool], list[float]] = {(name, on): [] for name in loads for on in (False, True)}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry = registry_of_two(folder, exported)
        settings = {
            "models": f"pneumonia@{PRODUCTION}",
            "registry_folder": folder / "registry",
            "registry_poll_seconds": 1,
        }
        with (
            running_service(folder, **settings) as service,
            httpx.Client(base_url=service.address, timeout=60) as client,
        ):
            picture = film()
            _busy(client, picture)  # connections and caches
            for number in range(ROUNDS):
                for on in (number % 2 == 0, number % 2 == 1):
                    _switch(service, registry, on)
                    for name, load in loads.items():
                        taken[name, on].append(median(load(client, picture)))
            copies = {outcome: _copies(service, outcome) for outcome in ("compared", "shed", "failed")}
    return {
        f"{name} capacity, times the median without": median(taken[name, True]) / median(taken[name, False])
        for name in loads
    } | {f"copies {outcome}": count for outcome, count in copies.items()}


def _switch(service: Service, registry: Registry, on: bool) -> None:
    """Begins or ends the shadow, and waits until the service knows."""
    if on:
        registry.promote(registry.resolve("pneumonia", "2"), "bench", to=SHADOW)
    elif any(SHADOW in version.aliases for version in registry.versions("pneumonia")):
        registry.withdraw("pneumonia", SHADOW, "bench")
    while (metric(service, "ray_thorax_model_info", alias=SHADOW) or 0) != on:
        time.sleep(0.5)


def _copies(service: Service, outcome: str) -> float:
    return metric(service, "ray_thorax_shadow_copies_total", outcome=outcome) or 0.0


def _spare(client: httpx.Client, picture: bytes) -> list[float]:
    """One after the other, with time in between in which a copy is done."""
    seconds = []
    for _ in range(SPARE_REQUESTS):
        seconds.append(_ask(client, picture))
        time.sleep(SPARE_PAUSE_SECONDS)
    return seconds


def _busy(client: httpx.Client, picture: bytes) -> list[float]:
    """As many as can be answered."""
    with ThreadPoolExecutor(BUSY_CLIENTS) as pool:
        return list(pool.map(lambda _: _ask(client, picture), range(BUSY_REQUESTS)))


def _ask(client: httpx.Client, picture: bytes) -> float:
    started = time.perf_counter()
    client.post("/v1/predictions", content=picture).raise_for_status()
    return time.perf_counter() - started
