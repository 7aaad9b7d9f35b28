"""The same work over many items: in processes of this machine, or on a Ray cluster that sees the same folders."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from types import MappingProxyType
from typing import Any


def _local(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    if not items:
        return
    # Started anew, not forked: a fork of a process with threads may never finish.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(len(items), os.cpu_count() or 1), context, _end_with_parent) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Else the processes of a killed stage would work on, beside those of the next run, and then wait forever."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _ray(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    import ray

    def one(row: dict[str, Any]) -> dict[str, Any]:
        return {"result": work(row["item"])}

    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.from_items(list(items), override_num_blocks=max(1, len(items))).map(one)
    for row in rows.iter_rows():
        yield row["result"]


EXECUTORS: Mapping[str, Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]] = MappingProxyType(
    {"local": _local, "ray": _ray}
)
"""Each takes the work and its items, both of which can be pickled, and gives results as they come, in any order."""
