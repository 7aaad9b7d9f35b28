"""What every contender does with a file: the platform's own chain from bytes to an answer, without its service.

Imported in the peers' environments, too, which hold neither Ray nor Keras.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import load_bundle
from models.radiograph import RadiographTags
from models.reading import read_radiograph
from serving.answering import prediction_response
from serving.schemas import ModelName, PredictionResponse

RELEASED = Path(__file__).parents[3] / "data/released/thoracic"


@dataclass(frozen=True, slots=True)
class Read:
    """What a file gave."""

    model_input: NDArray[np.float32]
    tags: RadiographTags


class Chain:
    """The released bundle and an engine; safe from several threads.

    Args:
        threads: of the engine; 0 for one a processor.
        crowded: whether several threads ask at the same time, see `models.engine.Engine.run`.
    """

    def __init__(self, threads: int, crowded: bool = False) -> None:
        self._crowded = crowded
        self._bundle = load_bundle(RELEASED, threads=threads)
        self._name = ModelName(name=self._bundle.manifest.name, version="1", digest=self._bundle.digest)

    def read(self, data: bytes) -> Read:
        radiograph = read_radiograph(data)
        return Read(self._bundle.preprocess(radiograph), radiograph.tags)

    def responses(self, batch: Sequence[Read]) -> list[PredictionResponse]:
        predictions = self._bundle.score([one.model_input for one in batch], self._crowded)
        return [
            prediction_response(self._bundle, self._name, prediction, one.tags)
            for one, prediction in zip(batch, predictions, strict=True)
        ]

    def answers(self, batch: Sequence[Read]) -> list[str]:
        """The responses as JSON."""
        return [response.model_dump_json(exclude_none=True) for response in self.responses(batch)]

    def answer(self, data: bytes) -> str:
        """A file's answer as JSON, all of it in this thread."""
        return self.answers([self.read(data)])[0]
