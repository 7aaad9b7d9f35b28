"""`make bench`: what is claimed to be fast, side by side in one run; writes bench/results.json.

Each contender takes its turn within every round, so that a machine that slows down slows all of them; a figure is the
median over the rounds.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from models.backbones import BACKBONES
from models.bundle import GRAPH
from models.bundle_writing import export_network
from models.engine import ENGINES, load_engine
from models.findings import Head, find_task
from tests.bench import batching, preparing, registering, serving, shadowing, swapping, training

ROUNDS, CALLS, WARM_UP = 7, 20, 3
REST_SECONDS = 0.3
COUNTS = (5_000, 100_000)
SEARCHED = (10_000, 100_000)
VERSIONS = 1_000
TIMED = ("baseline_cnn", "efficientnet_lite0")
RESULTS = Path("bench/results.json")


@contextmanager
def exported(backbone: str) -> Iterator[tuple[Any, Path]]:
    """A network with random weights, and its graph."""
    import keras

    from models.heads import build_network

    keras.utils.set_random_seed(1)
    task, found = find_task("pneumonia"), BACKBONES[backbone]
    heads = (Head(name=task.name, kind=task.kind, findings=task.findings),)
    network = build_network(found, heads, found.preprocessing).answerer
    with tempfile.TemporaryDirectory() as folder:
        export_network(network, Path(folder))
        yield network, Path(folder) / GRAPH


def milliseconds(contenders: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median time of a call of each."""
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        for _ in range(WARM_UP):
            call()
    for _ in range(ROUNDS):
        for name, call in contenders.items():
            sleep(REST_SECONDS)  # the threads of the one before go on spinning for a while
            call()
            started = perf_counter()
            for _ in range(CALLS):
                call()
            rounds[name].append((perf_counter() - started) / CALLS * 1000)
    return {name: median(times) for name, times in rounds.items()}


def one_image(backbone: str) -> dict[str, float]:
    """One image at a time through Keras and through each engine."""
    import tensorflow as tf

    with exported(backbone) as (network, graph):
        image = np.random.default_rng(1).random((1, *network.input_shape[1:]), np.float32)
        compiled = tf.function(network, reduce_retracing=True)
        engines = {name: load_engine(name, graph, threads=0) for name in ENGINES}
        return milliseconds(
            {
                "keras.predict": lambda: network.predict(image, verbose=0),
                "tf.function": lambda: compiled(tf.constant(image), training=False),
            }
            | {name: (lambda engine=engine: engine.run(image)) for name, engine in engines.items()}
        )


def fed() -> dict[str, dict[str, float]]:
    """What reading and varying images costs a training step."""
    models = ("baseline", "pneumonia")
    return {"training, times the rate with batches in memory": {name: training.fed_rate(name) for name in models}}


def swapped() -> dict[str, dict[str, float]]:
    """What a change of production costs those who ask meanwhile."""
    with exported("baseline_cnn") as (_, graph):
        return {"50 requests a second while production changes": swapping.swap_figures(graph.parent)}


def shadowed() -> dict[str, dict[str, float]]:
    """What a shadow costs those who ask."""
    with exported("baseline_cnn") as (_, graph):
        return {"a shadow of everything": shadowing.shadow_figures(graph.parent)}


def batched() -> dict[str, dict[str, float]]:
    """What Ray costs those who score an archive."""
    return {"thorax batch, beside one process": batching.batch_rate()}


def registered() -> dict[str, dict[str, float]]:
    """What a registry of many versions costs those who ask it."""
    return {f"registry of {VERSIONS} versions, seconds": registering.seconds_of_many(VERSIONS)}


def data() -> dict[str, dict[str, float]]:
    """What the stages before training cost: `prepare` and the search for copies."""
    return {
        "prepare, times the rate of decoding alone": {
            f"{kind}, 1024 px": preparing.prepare_rate(1024, kind) for kind in ("png", "jpeg")
        },
        "prepare, peak MiB of a process": {f"{count} images": preparing.prepare_peak_mib(count) for count in COUNTS},
        "search for copies, seconds": {f"{count} images": preparing.search_seconds(count) for count in SEARCHED},
    }


def main() -> None:
    results = {"cores": os.cpu_count(), "one_image_milliseconds": {name: one_image(name) for name in TIMED}}
    measured = fed() | swapped() | shadowed() | batched() | serving.figures() | registered() | data()
    results |= measured
    table = Table("network", "run by", "ms an image", "times keras.predict", title="One image at a time")
    for backbone, times in results["one_image_milliseconds"].items():
        for name, time in times.items():
            table.add_row(backbone, name, f"{time:.2f}", f"{times['keras.predict'] / time:.1f}")
    Console().print(table)
    costs = Table("what", "of", "figure", title="Training and data")
    for what, figures in measured.items():
        for of, figure in figures.items():
            costs.add_row(what, of, f"{figure:.2f}")
    Console().print(costs)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
