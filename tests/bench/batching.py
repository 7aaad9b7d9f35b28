"""How fast `thorax batch` is beside the same work in one process, which neither lists nor writes anything.

python -m tests.bench.batching [COUNT] [ROUNDS]
"""

import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pydicom.data import get_testdata_file

from models.bundle import Bundle, load_bundle, read_manifest
from models.reading import read_radiograph, read_radiograph_file
from serving.batch.inputs import find_input
from serving.batch.model import pack
from serving.batch.output import opened
from serving.batch.run import score
from serving.batch.scorer import UNDER_WAY, Work
from serving.priority import step_back
from serving.schemas import ModelName
from serving.settings import Settings

COUNT, SIDE_PX, ROUNDS = 1_000, 1024, 3
BUNDLE = Path("data/released/thoracic")
_NICENESS = 15  # of Ray's workers: what else this machine does holds up either contender alike
_TRIED = 100


def simulated(count: int, folder: Path) -> Path:
    """So many names of one real radiograph of pydicom-data, as a JPEG."""
    folder.mkdir()
    radiograph = read_radiograph_file(str(get_testdata_file("RG1_UNCR.dcm", download=False)))
    grey = Image.fromarray((radiograph.pixels * 255).astype(np.uint8)).resize((SIDE_PX, SIDE_PX))
    first = folder / "000000.jpg"
    grey.save(first, quality=95)
    for number in range(1, count):
        (folder / f"{number:06d}.jpg").hardlink_to(first)
    return folder


def ahead(bundle: Bundle, paths: list[Path], at_once: int) -> None:
    """Threads of this process read and prepare, and this one scores with all processors."""
    threads = os.cpu_count() or 1

    def prepared(pool: ThreadPoolExecutor) -> Iterator[Any]:
        waiting: deque[Future[Any]] = deque()
        for path in paths:
            waiting.append(pool.submit(_prepared, bundle, path))
            if len(waiting) > threads + at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    with ThreadPoolExecutor(threads) as pool:
        inputs = prepared(pool)
        while batch := list(islice(inputs, at_once)):
            bundle.score(batch)


def side_by_side(bundle: Bundle, paths: list[Path], at_once: int) -> None:
    """A thread for each processor reads, prepares and scores by itself."""

    def work(first: int) -> None:
        bundle.score([_prepared(bundle, path) for path in paths[first : first + at_once]], crowded=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, range(0, len(paths), at_once)):
            pass


def _prepared(bundle: Bundle, path: Path) -> Any:
    return bundle.preprocess(read_radiograph(path.read_bytes()))


_CANDIDATES = tuple((way, at_once) for way in (ahead, side_by_side) for at_once in (2, 4, 8))


def alone(bundle: Bundle, paths: list[Path], way: Callable[..., None], at_once: int) -> float:
    """Radiographs a second in this process."""
    started = perf_counter()
    way(bundle, paths, at_once)
    return len(paths) / (perf_counter() - started)


class _Timed:
    """Tables as they pass, timed from the first on: before it come Ray's start and an actor's.

    What was under way by then was begun in time that does not count, and so does not count itself.
    """

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables

    def __iter__(self) -> Iterator[pa.Table]:
        first = next(self._tables)
        started, self.rows = perf_counter(), -UNDER_WAY
        yield first
        for table in self._tables:
            self.rows += len(table)
            yield table
        self.seconds = perf_counter() - started


def batched(bundle: Path, folder: Path, output: Path) -> float:
    """Radiographs a second of the command, from its first rows on, with what it writes."""
    manifest, digest = read_manifest(bundle)
    found = find_input(str(folder))
    work = Work(ModelName(name=manifest.name, version="unregistered", digest=digest), Settings(), found.source)
    with opened(output, {}) as written:
        timed = _Timed(score(found, list(found.sizes), work, pack(bundle)))
        written.fill(timed, lambda _: None)
    if len(written.codes) != len(found.sizes) or written.failed:
        raise AssertionError(f"expected {len(found.sizes)} answers, not {len(written.codes)}, {written.failed}")
    return timed.rows / timed.seconds


def batch_rate(count: int = COUNT, rounds: int = ROUNDS) -> dict[str, float]:
    """The rates of both, and the median over the rounds of their ratio."""
    import ray

    background = ThreadPoolExecutor(1, initializer=step_back, initargs=(_NICENESS,))  # threads it starts are as nice
    with tempfile.TemporaryDirectory() as scratch, background:
        folder = simulated(count, Path(scratch) / "in")
        paths = sorted(folder.iterdir())
        bundle = background.submit(load_bundle, BUNDLE).result()
        tried = {how: background.submit(alone, bundle, paths[:_TRIED], *how).result() for how in _CANDIDATES}
        best = max(tried, key=lambda how: tried[how])
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="error")
        rates = []
        for number in range(rounds):
            one = background.submit(alone, bundle, paths, *best).result()
            rates.append((one, batched(BUNDLE, folder, Path(scratch) / f"out{number}")))
        ray.shutdown()
    return {
        "in one process, images/s": median(one for one, _ in rates),
        "thorax batch, images/s": median(other for _, other in rates),
        "ratio": median(other / one for one, other in rates),
    }


def main(count: str = str(COUNT), rounds: str = str(ROUNDS)) -> None:
    for what, figure in batch_rate(int(count), int(rounds)).items():
        sys.stdout.write(f"{what}\t{figure:.2f}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
