"""What a backbone is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from models.preprocessing import Preprocessor


@dataclass(frozen=True, slots=True)
class Backbone:
    """A feature extractor and the input it expects.

    Attributes:
        build: (height, width, channels) -> a Keras model from (n, height, width, channels) float32 to the embedding
            (n, features) float32. Keras is imported when it is called.
        preprocessing: the input the architecture is known to work with.
        embedding_dropout: the share of the embedding that its authors drop while a head is trained on it.
    """

    build: Callable[[tuple[int, int, int]], Any]
    preprocessing: Preprocessor
    embedding_dropout: float
