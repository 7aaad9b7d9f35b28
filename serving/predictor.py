"""The deployment that holds a model: bytes in, answer out; another version takes over while it answers."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Thread, get_native_id
from time import perf_counter, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve

from models.bundle import Bundle, Prediction, load_bundle
from models.errors import RadiographError, SettingsError
from models.radiograph import Radiograph, RadiographTags
from models.reading import ReadingLimits, read_radiograph
from models.signing import verify_bundle
from monitoring.backends import RayRecorder
from monitoring.metrics import FINDING_SCORE, MODEL_INFO, MODEL_LOADS, PREDICTION_SECONDS, PREDICTIONS
from serving.answering import prediction_response
from serving.lineup import Standing, read_lineup
from serving.logs import logger
from serving.schemas import PredictionResponse
from serving.settings import Settings

_WATCH_SECONDS = 0.5
_RETRY_SECONDS = 60.0
_BEHIND = 10
"""Niceness of the thread that loads: who waits for an answer comes first."""

log = logger()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model that can answer, verified and warm."""

    standing: Standing
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A model input that waits for its batch, who made it, and since when (seconds of `perf_counter`)."""

    model_input: NDArray[np.float32]
    loaded: _Loaded
    since: float


class Predictor:
    """Decodes in a pool of threads, scores in batches; neither ever holds up the event loop.

    Where the line-up names another bundle, that is loaded beside the one that serves, and takes its place at once.
    Whatever has begun with the old one ends with it, and names it.

    Args:
        standing: what to begin with.
        settings: of the service.

    Raises:
        BundleError: the bundle is not what the registry says, or nobody who is trusted signed it; the replica does not
            start.
        SigningKeyError: no key is trusted.
    """

    def __init__(self, standing: Standing, settings: Settings) -> None:
        self._model = standing.description.name
        self._settings = settings
        self._limits = ReadingLimits(settings.max_upload_bytes, settings.max_pixels)
        self._readers = ThreadPoolExecutor(settings.reading_threads, "reading")
        self._scorer = ThreadPoolExecutor(1, "scoring")
        self._score.set_max_batch_size(settings.max_batch_size)
        self._score.set_batch_wait_timeout_s(settings.batch_wait_seconds)
        self._recorder = RayRecorder((FINDING_SCORE, MODEL_INFO, MODEL_LOADS, PREDICTION_SECONDS, PREDICTIONS))
        self._serve(self._load(self._newest(standing)))
        Thread(target=self._follow, name="following", daemon=True).start()

    def _newest(self, standing: Standing) -> Standing:
        """A replica that starts late begins with what serves by now."""
        try:
            return read_lineup(self._settings).of(self._model)
        except SettingsError:
            return standing

    def _load(self, standing: Standing) -> _Loaded:
        verify_bundle(standing.bundle, self._settings.keys.trusted)
        engine, threads = self._settings.engine, self._settings.engine_threads
        bundle = load_bundle(standing.bundle, standing.description.digest, engine, threads)
        bundle.predict([Radiograph(np.zeros((64, 64), np.uint8))])  # an engine's first run takes longer
        return _Loaded(standing, bundle)

    def _serve(self, loaded: _Loaded) -> None:
        self._loaded = loaded
        self._tell_info(loaded.standing, 1)
        self._recorder.add(MODEL_LOADS, model=self._model, outcome="loaded")

    def _follow(self) -> None:
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _BEHIND)
        while True:
            sleep(_WATCH_SECONDS)
            try:
                standing = read_lineup(self._settings).of(self._model)
                if standing != self._loaded.standing:
                    self._change(standing)
            except Exception as error:  # whatever it is, the one that serves goes on
                self._recorder.add(MODEL_LOADS, model=self._model, outcome="failed")
                log.error("bundle not loaded", model=self._model, serving=self._loaded.standing.name, reason=str(error))
                sleep(_RETRY_SECONDS)

    def _change(self, standing: Standing) -> None:
        before = self._loaded
        same = standing.description.digest == before.standing.description.digest
        self._serve(_Loaded(standing, before.bundle) if same else self._load(standing))
        if before.standing.name != standing.name or before.standing.alias != standing.alias:
            self._tell_info(before.standing, 0)

    def _tell_info(self, standing: Standing, value: float) -> None:
        labels = standing.name.model_dump() | {"alias": standing.alias}
        self._recorder.set(MODEL_INFO, value, model=labels.pop("name"), **labels)

    async def predict(self, data: bytes, channel: str) -> PredictionResponse | RadiographError:
        """The answer about a PNG, JPEG or DICOM file.

        Args:
            data: the whole file.
            channel: the way in, for the metrics.

        Returns:
            A file that cannot be answered gives its error as a value: raised, it would reach the caller wrapped in
            Ray's own error, with a traceback.
        """
        loaded = self._loaded
        version = loaded.standing.description.version
        try:
            tags, model_input = await asyncio.get_running_loop().run_in_executor(
                self._readers, self._read, data, loaded
            )
            prediction = await self._score(_Waiting(model_input, loaded, perf_counter()))
            answer = prediction_response(loaded.bundle, loaded.standing.name, prediction, tags)
        except RadiographError as error:
            self._count(version, channel, "rejected")
            return error
        for one in answer.findings:
            self._recorder.observe(FINDING_SCORE, one.score, model=self._model, finding=one.finding)
        self._count(version, channel, "answered")
        return answer

    async def ready(self) -> None:
        """Returns once the replica has its bundle."""

    def _read(self, data: bytes, loaded: _Loaded) -> tuple[RadiographTags, NDArray[np.float32]]:
        started = perf_counter()
        radiograph = read_radiograph(data, self._limits)
        decoded = perf_counter()
        model_input = loaded.bundle.preprocess(radiograph)
        self._observe_seconds("decode", decoded - started)
        self._observe_seconds("preprocess", perf_counter() - decoded)
        return radiograph.tags, model_input

    @serve.batch
    async def _score(self, waiting: list[_Waiting]) -> list[Prediction]:
        return await asyncio.get_running_loop().run_in_executor(self._scorer, self._score_batch, waiting)

    def _score_batch(self, waiting: list[_Waiting]) -> list[Prediction]:
        started = perf_counter()
        predictions: dict[int, Prediction] = {}
        for bundle in {id(one.loaded.bundle): one.loaded.bundle for one in waiting}.values():  # two while one changes
            places = [place for place, one in enumerate(waiting) if one.loaded.bundle is bundle]
            predictions |= zip(places, bundle.score([waiting[place].model_input for place in places]), strict=True)
        seconds = perf_counter() - started
        for one in waiting:
            self._observe_seconds("queue", started - one.since)
            self._observe_seconds("infer", seconds)
        return [predictions[place] for place in range(len(waiting))]

    def _observe_seconds(self, phase: str, seconds: float) -> None:
        self._recorder.observe(PREDICTION_SECONDS, seconds, model=self._model, phase=phase)

    def _count(self, version: str, channel: str, outcome: str) -> None:
        self._recorder.add(PREDICTIONS, model=self._model, version=version, channel=channel, outcome=outcome)


def predictor(standing: Standing, settings: Settings) -> Any:
    """A `Predictor` bound for deployment.

    Ray lets 5 requests at a time into a replica unless told otherwise, which would cap every batch at 5: room is made
    for a batch being scored, one being gathered, and as many files being read.
    """
    deployment = serve.deployment(
        Predictor,
        name=f"predictor-{standing.description.name}",
        max_ongoing_requests=2 * settings.max_batch_size + settings.reading_threads,
        max_queued_requests=settings.max_waiting_requests,
        # A claim on the scheduler, not a limit: several models share a small machine.
        ray_actor_options={"num_cpus": 0.1},
    )
    return deployment.bind(standing, settings)
