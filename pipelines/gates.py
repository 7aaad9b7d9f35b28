"""The gates of a trained network, fitted on what it makes of chests and of decoys."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.gates import Gates, fit_gates
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph
from pipelines.decoys import decoys

Array = NDArray[np.floating]
MOST_DECOYS = 600
_BATCH = 32


def gates_of(
    answer: Callable[[NDArray[np.float32]], Array],
    train_radiographs: Sequence[Radiograph],
    validation_radiographs: Sequence[Radiograph],
    preprocessing: Preprocessor,
    seed: int,
) -> Gates:
    """Fits the gates; beside the sequences' own pictures, those of one batch are in memory at a time.

    Args:
        answer: the network: model inputs (n, H, W, C) float32 to embeddings (n, features).
        train_radiographs: frontal chests, at least 2; as many decoys are made from them, but at most `MOST_DECOYS`.
        validation_radiographs: other frontal chests, at least 2, for the distances of `in_distribution`.
        preprocessing: of the network's input.
        seed: of the decoys and the fit.

    Raises:
        ValueError: too few radiographs, or embeddings that are not finite.
    """
    for radiographs in (train_radiographs, validation_radiographs):
        if len(radiographs) < 2:
            raise ValueError(f"expected at least 2 chest radiographs for the gates, but received {len(radiographs)}")

    def embedded(batches: Iterable[list[Radiograph]]) -> Array:
        return np.concatenate([answer(np.stack([preprocessing(picture) for picture in batch])) for batch in batches])

    rng = np.random.default_rng(seed)
    count = min(len(train_radiographs), MOST_DECOYS)
    others = (decoys(train_radiographs, min(_BATCH, count - done), rng) for done in range(0, count, _BATCH))
    return fit_gates(
        embedded(_batches(train_radiographs)), embedded(others), embedded(_batches(validation_radiographs)), seed
    )


def _batches(radiographs: Sequence[Radiograph]) -> Iterator[list[Radiograph]]:
    for start in range(0, len(radiographs), _BATCH):
        yield [radiographs[place] for place in range(start, min(start + _BATCH, len(radiographs)))]
