"""What a change of production costs those who ask meanwhile: 50 requests a second, for 20 s each before and after."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import httpx
import numpy as np
from PIL import Image

from models.backbones import find_backbone
from models.bundle import CARD, GATES, read_manifest
from models.bundle_writing import write_bundle
from models.gates import Gates
from models.registry import PRODUCTION, Registry
from pipelines.phantom.cohort import cohort
from pipelines.phantom.draw import draw_phantom
from tests.conftest import FEATURES, registry_in, running_service

RELEASED = Path("data/released/pneumonia")
"""Whose manifest is taken; the network is the baseline's, so that two cores can answer as often as they are asked."""
A_SECOND = 50
PERIOD_SECONDS = 20
PERIODS = ("before", "swap", "rollback")


@dataclass(frozen=True)
class Answer:
    """When it was asked for, what came of it and how long it took."""

    period: str
    status: int
    version: str
    seconds: float


def swap_figures(exported: Path) -> dict[str, float]:
    """99th percentile of the seconds to an answer while production changes, and while it is rolled back, as multiples
    of the one before; and how many of the requests failed or did not name a version that was in production.

    Args:
        exported: holds the baseline network as `export_network` writes it.
    """
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry = registry_of_two(folder, exported)
        settings = {"models": f"pneumonia@{PRODUCTION}", "registry_folder": folder / "registry"}
        with running_service(folder, **settings) as service:
            answers = asyncio.run(_load(service.address, registry))
    p99 = {one: float(np.quantile([a.seconds for a in answers if a.period == one], 0.99)) for one in PERIODS}
    wrong = [answer for answer in answers if answer.status != httpx.codes.OK or answer.version not in {"1", "2"}]
    if {answer.version for answer in answers} != {"1", "2"}:
        raise RuntimeError("Expected answers of both versions; the promotion did not reach the service.")
    return {
        "before, p99 in ms": p99["before"] * 1000,
        "promotion, times the p99 before": p99["swap"] / p99["before"],
        "rollback, times the p99 before": p99["rollback"] / p99["before"],
        f"failed of {len(answers)} requests": float(len(wrong)),
    }


def registry_of_two(folder: Path, exported: Path) -> Registry:
    """A registry in a folder, with two versions of a model that run the same network, the first in production."""
    registry = registry_in(folder / "registry")
    preprocessing = find_backbone("baseline_cnn").preprocessing
    manifest = read_manifest(RELEASED)[0].model_copy(update={"preprocessing": preprocessing})
    Gates.open_to_all(FEATURES).save(exported / GATES)
    for number in (1, 2):
        bundle = folder / str(number)
        card = (RELEASED / CARD).read_text(encoding="utf-8")
        risk = manifest.conformal.model_copy(update={"risk": 0.1 * number})
        write_bundle(bundle, exported, manifest.model_copy(update={"conformal": risk}), card)
        registry.register(bundle, {}, "bench")
    registry.promote(registry.resolve("pneumonia", "1"), "bench")
    return registry


def film() -> bytes:
    """A drawn radiograph as PNG."""
    file = BytesIO()
    Image.fromarray(draw_phantom(cohort(1, 1)[0]).pixels).save(file, "PNG")
    return file.getvalue()


async def _load(address: str, registry: Registry) -> list[Answer]:
    changes: dict[str, Callable[[], object]] = {
        "before": lambda: None,
        "swap": lambda: registry.promote(registry.resolve("pneumonia", "2"), "bench"),
        "rollback": lambda: registry.rollback("pneumonia", "bench"),
    }
    picture = film()
    tasks = []
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        for _ in range(2 * A_SECOND):  # connections and caches
            await client.post("/v1/predictions", content=picture)
        for period, change in changes.items():
            changed = asyncio.create_task(asyncio.to_thread(change))
            began = perf_counter()
            for number in range(A_SECOND * PERIOD_SECONDS):
                await asyncio.sleep(max(0.0, began + number / A_SECOND - perf_counter()))
                tasks.append(asyncio.create_task(_ask(client, picture, period)))
            await changed
        return list(await asyncio.gather(*tasks))


async def _ask(client: httpx.AsyncClient, picture: bytes, period: str) -> Answer:
    started = perf_counter()
    answer = await client.post("/v1/predictions", content=picture)
    seconds = perf_counter() - started
    version = json.loads(answer.content)["model"]["version"] if answer.is_success else ""
    return Answer(period, answer.status_code, version, seconds)
