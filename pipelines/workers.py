"""Processes of a Ray cluster that learn one network together: each takes its share of every batch."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.errors import ThoraxError, TrainingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Team:
    """Those that learn together, as one of them sees it.

    Attributes:
        rank: of this process; 0 measures, decides and writes.
        size: number of processes.
        strategy: of TensorFlow; what learns is made within its scope, and the gradients of all are summed by it.
    """

    rank: int
    size: int
    strategy: Any

    def share(self, order: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
        """This process's images of each batch; a batch of fewer images than processes is left out."""
        return [batch[self.rank :: self.size] for batch in order if len(batch) >= self.size]

    def teach(self, learner: Any) -> None:
        """Lets the `fit` of a compiled Keras model, made within the strategy's scope, go on in step with the others.

        Its own steps cannot: before the first, Keras 3.15 takes the mean of a pair of inputs and targets, and after
        each the mean of the loss along an axis it lacks.
        """
        if self.size == 1:
            return
        import tensorflow as tf

        @tf.function  # type: ignore[untyped-decorator]
        def step(iterator: Any) -> dict[str, Any]:
            figures = self.strategy.run(learner.train_step, args=(next(iterator),))
            return {name: self.strategy.reduce("MEAN", figure, axis=None) for name, figure in figures.items()}

        learner.train_function = step
        learner._maybe_symbolic_build = lambda **_: None  # what is compiled with a built optimizer is built

    def distributed(self, dataset: Any) -> Any:
        """A `tf.data` set of this process's shares, as `fit` takes it."""
        return self.strategy.distribute_datasets_from_function(lambda _: dataset)

    def told(self, found: Callable[[], T]) -> T:
        """What the process of rank 0 finds, in all of them, so that no rounding lets one decide otherwise."""
        if self.size == 1:
            return found()
        from ray.train.collective import broadcast_from_rank_zero

        told: T = broadcast_from_rank_zero(found() if self.rank == 0 else None)
        return told


def alone() -> Team:
    """This very process, by itself."""
    import tensorflow as tf

    return Team(0, 1, tf.distribute.get_strategy())


def together(size: int, work: Callable[[Team], None], scratch: Path) -> None:
    """The same work in so many processes of a Ray cluster, each with a GPU where there are enough.

    The cluster is the one this process has joined, or the one that RAY_ADDRESS names, or else one of this machine for
    as long as it takes.

    Args:
        size: number of processes.
        work: can be pickled; it finds the folder this process works in, and its own place in the team.
        scratch: a folder all processes see, for what Ray notes.

    Raises:
        ThoraxError: what the work raised in one of them.
        TrainingError: the cluster is too small.
    """
    from ray.train import RunConfig, ScalingConfig, WorkerGroupError
    from ray.train.tensorflow import TensorflowTrainer

    with _cluster() as resources:
        cpus = resources.get("CPU", 0)
        if cpus < size:
            reason = f"Expected a Ray cluster with a CPU for each of {size} workers, but it has {cpus:.0f}."
            raise TrainingError(reason=f"{reason} Lower workers in params.yaml, or add nodes.")
        trainer = TensorflowTrainer(
            partial(_join, work, Path.cwd()),
            scaling_config=ScalingConfig(num_workers=size, use_gpu=resources.get("GPU", 0) >= size),
            run_config=RunConfig(storage_path=scratch.absolute()),
        )
        try:
            trainer.fit()
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                if isinstance(failure, ThoraxError):
                    raise failure from None
            raise


@contextmanager
def _cluster() -> Iterator[dict[str, float]]:
    """Resources of a Ray cluster; what was started is stopped, and Ctrl-C is as it was."""
    import ray

    joined, interrupted = ray.is_initialized(), signal.getsignal(signal.SIGINT)
    if not joined:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
    try:
        yield ray.cluster_resources()
    finally:
        signal.signal(signal.SIGINT, interrupted)
        if not joined:
            ray.shutdown()


def _join(work: Callable[[Team], None], folder: Path) -> None:
    """What each process does."""
    import keras
    import tensorflow as tf
    from ray.train import get_context

    os.chdir(folder)
    tf.keras = keras  # Ray sets TF_USE_LEGACY_KERAS, with which keras-cv finds no Keras at all
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    work(Team(get_context().get_world_rank(), get_context().get_world_size(), strategy))
