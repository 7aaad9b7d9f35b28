"""Whether heat maps come from the network at all (Adebayo et al. 2018, Sanity Checks for Saliency Maps).

Each of the network's weight arrays is shuffled: what it learnt is gone, while its architecture and the image stay. A
map that is still the same shows an edge or a bright place of the image, and nothing of what the network knows.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from models.bundle import KERAS_MODEL, Bundle
from pipelines.shards import read_shards

FAILS_FROM = 0.5
"""The mean rank correlation, in [0, 1], of maps before and after, from which on the test fails."""

_IMAGES = 24
_SEEDS = range(5)  # one shuffle alone may leave maps alike by chance: measured, 0.15 to 0.48 on six baseline CNNs


def sanity_figures(bundle: Bundle, rows: pd.DataFrame, shards: Path) -> dict[str, Any]:
    """The randomised-weights test of a bundle's heat maps on images of the test split.

    Args:
        bundle: whose `model.keras` is shuffled, in memory.
        rows: of the split table.
        shards: holds a folder of decoded images a source.

    Returns:
        `correlation`, in [0, 1], and `passes`; empty where there is no test image.
    """
    test = rows[rows["split"] == "test"]
    if test.empty:
        return {}
    some = test.iloc[np.unique(np.linspace(0, len(test) - 1, _IMAGES).astype(int))]
    inputs = [
        bundle.preprocess(radiograph)
        for source, of_source in some.groupby("source")
        for _, radiograph in read_shards(shards / str(source), set(of_source["image"]))
    ]
    correlation = shuffled_correlation(load_network(bundle.path / KERAS_MODEL), np.stack(inputs))
    return {"correlation": correlation, "passes": correlation < FAILS_FROM}


def load_network(path: Path) -> Any:
    """The answerer in a `.keras` file; nothing but registered layers is built."""
    import keras

    import models.backbones.dense_embedding
    import models.head_layer  # noqa: F401  both register the project's own layers

    return keras.saving.load_model(path, compile=False, safe_mode=True)


def shuffled_correlation(network: Any, inputs: NDArray[np.float32]) -> float:
    """How alike a network's heat maps are before and after its weights are shuffled, which they then are.

    Args:
        network: from (n, H, W, C) float32 to a dict with `maps` (n, h, w, findings), among others.
        inputs: (n, H, W, C).

    Returns:
        The mean, in [0, 1], of the amount of Spearman's rank correlation between the two maps of each finding of each
        image. A map that turned flat counts as 0, one that was flat not at all; where all were, the result is 1, for
        then nothing is seen to come from the weights.
    """
    before = _maps(network, inputs)
    likeness = []
    for seed in _SEEDS:
        _shuffle(network, np.random.default_rng(seed))
        pairs = zip(before, _maps(network, inputs), strict=True)
        likeness += [_likeness(*pair) for pair in pairs if np.ptp(pair[0]) > 0]
    return float(np.mean(likeness)) if likeness else 1.0


def _shuffle(network: Any, rng: np.random.Generator) -> None:
    for weight in network.weights:
        values = np.asarray(weight)
        weight.assign(rng.permutation(values.ravel()).reshape(values.shape))


def _maps(network: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n x findings, h x w): a row a map."""
    maps: NDArray[np.float32] = network.predict_on_batch(inputs)["maps"]
    images, height, width, findings = maps.shape
    return np.moveaxis(maps, -1, 1).reshape(images * findings, height * width)


def _likeness(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    return abs(float(spearmanr(before, after).statistic)) if np.ptp(after) > 0 else 0.0
