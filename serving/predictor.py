"""The deployment that holds one bundle: bytes in, answer out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve

from models.bundle import Prediction, load_bundle
from models.errors import RadiographError
from models.radiograph import RadiographTags
from models.reading import ReadingLimits, read_radiograph
from models.signing import verify_bundle
from monitoring.backends import RayRecorder
from monitoring.metrics import FINDING_SCORE, MODEL_INFO, PREDICTION_SECONDS, PREDICTIONS
from serving.answering import prediction_response
from serving.schemas import ModelName, PredictionResponse
from serving.settings import Settings


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a predictor is to serve, resolved in the registry beforehand: replicas do not know the registry.

    Attributes:
        name: of the model, with its version and the bundle's digest.
        alias: it was asked for by; its version where it was asked for by number.
        bundle: the downloaded folder.
    """

    name: ModelName
    alias: str
    bundle: Path


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A model input that waits for its batch, and since when (seconds of `perf_counter`)."""

    model_input: NDArray[np.float32]
    since: float


class Predictor:
    """Decodes in a pool of threads, scores in batches; neither ever holds up the event loop.

    Args:
        model: to serve.
        settings: of the service.

    Raises:
        BundleError: the bundle is not what the registry says, or nobody who is trusted signed it; the replica does not
            start.
        SigningKeyError: no key is trusted.
    """

    def __init__(self, model: ServedModel, settings: Settings) -> None:
        self._model = model.name
        verify_bundle(model.bundle, settings.keys.trusted)
        self._bundle = load_bundle(model.bundle, model.name.digest, settings.engine, settings.engine_threads)
        self._limits = ReadingLimits(settings.max_upload_bytes, settings.max_pixels)
        self._readers = ThreadPoolExecutor(settings.reading_threads, "reading")
        self._scorer = ThreadPoolExecutor(1, "scoring")
        self._score.set_max_batch_size(settings.max_batch_size)
        self._score.set_batch_wait_timeout_s(settings.batch_wait_seconds)
        self._recorder = RayRecorder((FINDING_SCORE, MODEL_INFO, PREDICTION_SECONDS, PREDICTIONS))
        labels = self._model.model_dump() | {"alias": model.alias}
        self._recorder.set(MODEL_INFO, 1, model=labels.pop("name"), **labels)

    async def predict(self, data: bytes, channel: str) -> PredictionResponse | RadiographError:
        """The answer about a PNG, JPEG or DICOM file.

        Args:
            data: the whole file.
            channel: the way in, for the metrics.

        Returns:
            A file that cannot be answered gives its error as a value: raised, it would reach the caller wrapped in
            Ray's own error, with a traceback.
        """
        try:
            tags, model_input = await asyncio.get_running_loop().run_in_executor(self._readers, self._read, data)
            prediction = await self._score(_Waiting(model_input, perf_counter()))
            answer = prediction_response(self._bundle, self._model, prediction, tags)
        except RadiographError as error:
            self._count(channel, "rejected")
            return error
        for one in answer.findings:
            self._recorder.observe(FINDING_SCORE, one.score, model=self._model.name, finding=one.finding)
        self._count(channel, "answered")
        return answer

    async def ready(self) -> None:
        """Returns once the replica has its bundle."""

    def _read(self, data: bytes) -> tuple[RadiographTags, NDArray[np.float32]]:
        started = perf_counter()
        radiograph = read_radiograph(data, self._limits)
        decoded = perf_counter()
        model_input = self._bundle.preprocess(radiograph)
        self._observe_seconds("decode", decoded - started)
        self._observe_seconds("preprocess", perf_counter() - decoded)
        return radiograph.tags, model_input

    @serve.batch
    async def _score(self, waiting: list[_Waiting]) -> list[Prediction]:
        return await asyncio.get_running_loop().run_in_executor(self._scorer, self._score_batch, waiting)

    def _score_batch(self, waiting: list[_Waiting]) -> list[Prediction]:
        started = perf_counter()
        predictions = self._bundle.score([one.model_input for one in waiting])
        seconds = perf_counter() - started
        for one in waiting:
            self._observe_seconds("queue", started - one.since)
            self._observe_seconds("infer", seconds)
        return predictions

    def _observe_seconds(self, phase: str, seconds: float) -> None:
        self._recorder.observe(PREDICTION_SECONDS, seconds, model=self._model.name, phase=phase)

    def _count(self, channel: str, outcome: str) -> None:
        labels = {"model": self._model.name, "version": self._model.version}
        self._recorder.add(PREDICTIONS, channel=channel, outcome=outcome, **labels)


def predictor(model: ServedModel, settings: Settings) -> Any:
    """A `Predictor` bound for deployment.

    Ray lets 5 requests at a time into a replica unless told otherwise, which would cap every batch at 5: room is made
    for a batch being scored, one being gathered, and as many files being read.
    """
    deployment = serve.deployment(
        Predictor,
        name=f"predictor-{model.name.name}",
        max_ongoing_requests=2 * settings.max_batch_size + settings.reading_threads,
        max_queued_requests=settings.max_waiting_requests,
        # A claim on the scheduler, not a limit: several models share a small machine.
        ray_actor_options={"num_cpus": 0.1},
    )
    return deployment.bind(model, settings)
