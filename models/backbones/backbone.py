"""What a backbone is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.preprocessing import Preprocessor

FEATURE_MAP, EMBEDDING, GAIN = "feature_map", "embedding", "gain"


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor and the input it expects.

    Attributes:
        build: (height, width, channels) -> a Keras model from (n, height, width, channels) float32 to a dict:
            `embedding` (n, features), which the heads see; `feature_map` (n, h, w, maps), the last one that has places;
            and `gain` (n, features, maps), the derivative of each feature by each map, averaged over the places, where
            the embedding is not the plain mean of the map over its places. Keras is imported when it is called.
        preprocessing: the input the architecture is known to work with.
        embedding_dropout: the share of the embedding that its authors drop while a head is trained on it.
    """

    build: Callable[[tuple[int, int, int]], Any]
    preprocessing: Preprocessor
    embedding_dropout: float


def pooled(network: Any, name: str) -> Any:
    """The backbone whose embedding is the mean over the places of a network's output (n, h, w, maps)."""
    import keras

    embedding = keras.layers.GlobalAveragePooling2D(name=EMBEDDING)(network.output)
    return keras.Model(network.input, {EMBEDDING: embedding, FEATURE_MAP: network.output}, name=name)
