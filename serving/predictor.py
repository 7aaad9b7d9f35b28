"""The deployment that holds models: bytes in, answer out; many models share one, a new one loads beside them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve

from models.bundle import Bundle, Prediction
from models.errors import BundleError, OutputError, RadiographError, ThoraxError
from models.radiograph import RadiographTags
from models.reading import ReadingLimits, read_radiograph
from monitoring.backends import RayRecorder
from monitoring.metrics import FINDING_SCORE, MODEL_LOADS, PREDICTION_SECONDS, PREDICTIONS
from serving.answering import prediction_response
from serving.lineup import read_lineup
from serving.loading import load
from serving.logs import logger
from serving.priority import step_back
from serving.schemas import ModelName, PredictionResponse
from serving.settings import Settings

_WATCH_SECONDS = 0.5

log = logger()


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A model input that waits for its batch, whose it is, and since when (seconds of `perf_counter`)."""

    model_input: NDArray[np.float32]
    bundle: Bundle
    since: float


class Predictor:
    """Decodes in a pool of threads, scores in batches; neither ever holds up the event loop.

    Callers name the model by Serve's multiplexed model id, a `ModelName.reference`: so a batch is of one bundle, and a
    replica is chosen that has it in memory. A replica has at most so many in memory as the settings say; the one that
    was not asked for longest leaves first, and whatever has begun with it ends with it. What is new in the line-up is
    loaded before anybody asks for it.

    Args:
        settings: of the service.

    Raises:
        SettingsError: there is no line-up.
    """

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Serve awaits it
        self._settings = settings
        self._limits = ReadingLimits(settings.max_upload_bytes, settings.max_pixels)
        self._readers = ThreadPoolExecutor(settings.reading_threads, "reading")
        self._scorer = ThreadPoolExecutor(1, "scoring")
        self._loader = ThreadPoolExecutor(1, "loading")
        self._loading: set[asyncio.Future[Bundle]] = set()
        self._score.set_max_batch_size(settings.max_batch_size)
        self._score.set_batch_wait_timeout_s(settings.batch_wait_seconds)
        self._recorder = RayRecorder((FINDING_SCORE, MODEL_LOADS, PREDICTION_SECONDS, PREDICTIONS))

        @serve.multiplexed(max_num_models_per_replica=settings.models_in_memory)
        async def loaded(reference: str) -> Bundle:
            return await self._load(reference)

        self._loaded = loaded
        lineup = read_lineup(settings)
        self._seen = {standing.name.reference for standing in lineup.answering}
        for standing in lineup.models[: settings.models_in_memory]:
            try:
                await self._bundle(standing.name.reference)
            except BundleError as error:  # the other models serve all the same
                log.error("bundle not loaded", model=standing.name.reference, reason=str(error))
        # Not before: the engine's threads, which all bundles share, have the priority of whoever loads first.
        self._loader = ThreadPoolExecutor(1, "loading", step_back)
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def _bundle(self, reference: str) -> Bundle:
        """The bundle, loaded if need be; who gives up waiting does not stop it, for the next one needs it, too."""
        task = asyncio.ensure_future(self._loaded(reference))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)
        bundle: Bundle = await asyncio.shield(task)
        return bundle

    async def _load(self, reference: str) -> Bundle:
        outcome = "failed"
        try:
            bundle = await asyncio.get_running_loop().run_in_executor(
                self._loader, load, reference, self._settings, self._settings.engine_threads
            )
            outcome = "loaded"
            return bundle
        finally:
            self._recorder.add(MODEL_LOADS, model=reference.partition("@")[0], outcome=outcome)

    async def _follow(self) -> None:
        """Loads what the line-up names anew, so that whoever asks for it first does not wait."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                lineup = await asyncio.to_thread(read_lineup, self._settings)
                wanted = {standing.name.reference for standing in lineup.answering}
                new, self._seen = wanted - self._seen, wanted
                for reference in new:
                    await self._bundle(reference)
            except Exception as error:  # the front door goes on with what it has, and asks for it again later
                log.error("line-up not followed", reason=str(error))

    async def prepare(self) -> None:
        """Returns once the model that the caller names is in memory."""
        await self._bundle(serve.get_multiplexed_model_id())

    async def ready(self) -> None:
        """Returns once the replica has begun."""

    async def predict(self, model: ModelName, data: bytes, channel: str) -> PredictionResponse | ThoraxError:
        """The answer about a PNG, JPEG or DICOM file.

        Args:
            model: as the answer is to name it; the multiplexed model id is its reference.
            data: the whole file.
            channel: the way in, for the metrics.

        Returns:
            A file that cannot be answered gives its error as a value: raised, it would reach the caller wrapped in
            Ray's own error, with a traceback.
        """
        bundle = await self._bundle(serve.get_multiplexed_model_id())
        try:
            tags, model_input = await asyncio.get_running_loop().run_in_executor(
                self._readers, self._read, data, bundle
            )
            prediction = await self._score(_Waiting(model_input, bundle, perf_counter()))
            answer = prediction_response(bundle, model, prediction, tags)
        except RadiographError as error:
            self._count(model, channel, "rejected")
            return error
        except OutputError as error:
            self._count(model, channel, "failed")
            return error
        for one in answer.findings:
            self._recorder.observe(FINDING_SCORE, one.score, model=model.name, finding=one.finding)
        self._count(model, channel, "answered")
        return answer

    def _read(self, data: bytes, bundle: Bundle) -> tuple[RadiographTags, NDArray[np.float32]]:
        started = perf_counter()
        radiograph = read_radiograph(data, self._limits)
        decoded = perf_counter()
        model_input = bundle.preprocess(radiograph)
        self._observe_seconds(bundle, "decode", decoded - started)
        self._observe_seconds(bundle, "preprocess", perf_counter() - decoded)
        return radiograph.tags, model_input

    @serve.batch
    async def _score(self, waiting: list[_Waiting]) -> list[Prediction]:
        return await asyncio.get_running_loop().run_in_executor(self._scorer, self._score_batch, waiting)

    def _score_batch(self, waiting: list[_Waiting]) -> list[Prediction]:
        bundle = waiting[0].bundle  # Serve has split the batch by model id
        started = perf_counter()
        predictions = bundle.score([one.model_input for one in waiting])
        seconds = perf_counter() - started
        for one in waiting:
            self._observe_seconds(bundle, "queue", started - one.since)
            self._observe_seconds(bundle, "infer", seconds)
        return predictions

    def _observe_seconds(self, bundle: Bundle, phase: str, seconds: float) -> None:
        self._recorder.observe(PREDICTION_SECONDS, seconds, model=bundle.manifest.name, phase=phase)

    def _count(self, model: ModelName, channel: str, outcome: str) -> None:
        self._recorder.add(PREDICTIONS, model=model.name, version=model.version, channel=channel, outcome=outcome)


def predictor(settings: Settings) -> Any:
    """A `Predictor` bound for deployment.

    Ray lets 5 requests at a time into a replica unless told otherwise, which would cap every batch at 5: room is made
    for a batch being scored, one being gathered, and as many files being read.
    """
    deployment = serve.deployment(
        Predictor,
        name="predictor",
        max_ongoing_requests=2 * settings.max_batch_size + settings.reading_threads,
        max_queued_requests=settings.max_waiting_requests,
        # A claim on the scheduler, not a limit.
        ray_actor_options={"num_cpus": 0.1},
    )
    return deployment.bind(settings)
