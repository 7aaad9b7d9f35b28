"""The straight way from files to rows, on a Ray cluster or on this machine."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from models.errors import DataError
from serving.batch.inputs import Input, TarStream
from serving.batch.scorer import Scorer, Work

_FILES_A_TASK = 64
_TASKS_AT_ONCE = 2  # of an actor, so that it has the next files under way when those of one task run out
_CPUS = 4
"""Of an actor, where its machine has so many; its engine gains little from more."""
_BLOCK_BYTES = 32 * 2**20
_FILE = pa.schema([("file", pa.string()), ("size", pa.int64()), ("data", pa.large_binary())])
_AGAIN = "Run the command again; it goes on where it stopped."


def score(found: Input, files: Sequence[str], work: Work, packed: dict[str, bytes]) -> Iterator[pa.Table]:
    """Rows of some files of an input, as they come and in any order; memory does not grow with their count.

    Args:
        found: the input.
        files: those of its paths that are to be scored.
        work: of each actor.
        packed: the bundle; travels through Ray's object store.

    Raises:
        DataError: the workers died.
    """
    import ray
    from ray.exceptions import RayError

    with _cluster():
        cpus, actors = _shares([node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]])
        actor = ray.data.ActorPoolStrategy(
            size=min(actors, -(-len(files) // _FILES_A_TASK)),
            max_concurrent_calls_per_actor=_TASKS_AT_ONCE,
            enable_true_multi_threading=True,
        )
        scored = _dataset(found, files, work.limits.max_bytes).map_batches(
            Scorer,
            fn_constructor_args=(_within(work, cpus), ray.put(packed)),
            batch_format="pyarrow",
            batch_size=None,
            compute=actor,
            num_cpus=cpus,
        )
        try:
            yield from scored.iter_batches(batch_format="pyarrow", batch_size=None)
        except RayError as error:
            raise DataError(reason=f"The workers stopped: {str(error).strip().splitlines()[-1]} {_AGAIN}") from error


def _dataset(found: Input, files: Sequence[str], max_bytes: int) -> Any:
    import ray

    if isinstance(found.source, TarStream):
        # Contents come through the object store, in the archive's order; no CPU, for the actors have them all.
        given = {"source": found.source, "wanted": frozenset(files), "max_bytes": max_bytes}
        archive = ray.data.from_arrow(pa.table({"archive": [found.address]}))
        return archive.map_batches(_contents, fn_kwargs=given, num_cpus=0)
    tasks = [files[start : start + _FILES_A_TASK] for start in range(0, len(files), _FILES_A_TASK)]
    return ray.data.from_arrow([pa.table({"file": some, "size": [found.sizes[one] for one in some]}) for some in tasks])


def _contents(_: Any, source: TarStream, wanted: frozenset[str], max_bytes: int) -> Iterator[pa.Table]:
    for file, size, data in source.read_all(wanted, max_bytes):
        yield pa.Table.from_pylist([{"file": file, "size": size, "data": data}], _FILE)


def _shares(machines: Sequence[float]) -> tuple[int, int]:
    """CPUs of an actor, and how many such actors fit on the machines, which have so many CPUs."""
    cpus = max(1, min(_CPUS, int(max(machines, default=1))))
    return cpus, max(1, sum(int(machine // cpus) for machine in machines))


def _within(work: Work, cpus: int) -> Work:
    """The work of an actor that has so many CPUs; what the settings leave open would take its whole machine."""
    threads = {
        "engine_threads": work.settings.engine_threads or cpus,
        "reading_workers": work.settings.reading_workers or cpus,
    }
    return replace(work, settings=work.settings.model_copy(update=threads))


@contextmanager
def _cluster() -> Iterator[None]:
    """The cluster that this process has joined or that RAY_ADDRESS names, or one of this machine for as long."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported
    import ray

    joined = ray.is_initialized()
    if not joined:
        here = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        ray.init(log_to_driver=False, logging_level="error", **({} if "RAY_ADDRESS" in os.environ else here))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = _BLOCK_BYTES
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        if not joined:
            ray.shutdown()
