"""Bytes in, answer out: many models share one process, and a new one loads beside them."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from ray import serve

from models.bundle import Bundle
from models.errors import BundleError, OutputError, OverloadedError, RadiographError
from models.reading import ReadingLimits
from monitoring.backends import RayRecorder
from monitoring.metrics import FINDING_SCORE, MODEL_LOADS, PREDICTION_SECONDS, PREDICTIONS
from serving.answering import Answer, prediction_response
from serving.batcher import Batcher
from serving.errors import RETRY_AFTER_SECONDS
from serving.loading import EXAMPLES, load
from serving.logs import logger
from serving.priority import step_back
from serving.readers import Readers
from serving.schemas import ModelName
from serving.settings import Settings

_DRAWN = EXAMPLES / "normal.png"
_WARMING_BATCHES = 16  # enough for each thread to meet a full one

log = logger()


class Predictor:
    """Reads, scores in batches and answers, each elsewhere than on the event loop.

    At most so many models are in memory as the settings say; the one that was not asked for longest leaves first, and
    whatever has begun with it ends with it.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        limits = ReadingLimits(settings.max_upload_bytes, settings.max_pixels)
        self._readers = Readers(limits, settings.reading_workers, settings.request_timeout_seconds)
        self._batcher = Batcher(settings.max_batch_size, settings.batch_wait_seconds, settings.engine_threads)
        self._loader = ThreadPoolExecutor(1, "loading")
        self._loading: set[asyncio.Future[Bundle]] = set()
        self._recorder = RayRecorder((FINDING_SCORE, MODEL_LOADS, PREDICTION_SECONDS, PREDICTIONS))
        self.at_work = 0
        self.loaded = 0

        @serve.multiplexed(max_num_models_per_replica=settings.models_in_memory)
        async def loaded(reference: str) -> Bundle:
            return await self._load(reference)

        self._loaded = loaded

    async def begin(self, models: Sequence[ModelName]) -> None:
        """Returns once the readers have begun and the models, as many as there is room for, are in memory.

        One that cannot be loaded is logged.
        """
        await asyncio.to_thread(self._readers.begin)
        for model in models[: self._settings.models_in_memory]:
            try:
                await self._warm(await self.prepare(model))
            except BundleError as error:  # the other models serve all the same
                log.error("bundle not loaded", model=model.reference, reason=str(error))
        # Not before: the engine's threads, which all bundles share, have the priority of whoever loads first.
        self._loader = ThreadPoolExecutor(1, "loading", step_back)

    async def _warm(self, bundle: Bundle) -> None:
        """Answers a crowd about a drawn chest: what first answers take of time and memory, no client waits for."""
        data = await asyncio.to_thread(_DRAWN.read_bytes)
        read = await self._readers.ready(data, bundle.manifest.preprocessing)
        crowd = _WARMING_BATCHES * self._settings.max_batch_size  # full batches, which wait for nobody
        await asyncio.gather(*(self._batcher.score(bundle, read) for _ in range(crowd)))

    async def prepare(self, model: ModelName) -> Bundle:
        """The model's bundle, loaded if need be; who gives up waiting does not stop it, for the next one needs it, too.

        Raises:
            BundleError: it is not what the registry says, or nobody who is trusted signed it.
        """
        task = asyncio.ensure_future(self._loaded(model.reference))
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
            self.loaded += 1
            return bundle
        finally:
            self._recorder.add(MODEL_LOADS, model=reference.partition("@")[0], outcome=outcome)

    def check_room(self) -> None:
        """Returns where one more may be asked.

        Raises:
            OverloadedError: as many are at work or wait as may.
        """
        if self.at_work >= self._settings.max_waiting_requests:
            raise OverloadedError(retry_after_seconds=RETRY_AFTER_SECONDS)

    async def predict(self, model: ModelName, data: bytes, channel: str, with_film: bool = False) -> Answer:
        """The answer about a PNG, JPEG or DICOM file.

        Args:
            model: as the answer is to name it.
            data: the whole file.
            channel: the way in, for the metrics.
            with_film: whether heat maps are to be laid over the radiograph.

        Raises:
            RadiographError: the file cannot be answered.
            BundleError: the model cannot be loaded, or its network fails at this file.
            OverloadedError: as many are at work or wait as may.
        """
        self.check_room()
        self.at_work += 1
        try:
            answer = await self._answer(model, data, with_film)
        except RadiographError:
            self._count(model, channel, "rejected")
            raise
        except OutputError:
            self._count(model, channel, "failed")
            raise
        finally:
            self.at_work -= 1
        for one in answer.response.findings:
            self._recorder.observe(FINDING_SCORE, one.score, model=model.name, finding=one.finding)
        self._count(model, channel, "answered")
        return answer

    async def _answer(self, model: ModelName, data: bytes, with_film: bool) -> Answer:
        bundle = await self.prepare(model)
        read = await self._readers.ready(data, bundle.manifest.preprocessing, with_film)
        scored = await self._batcher.score(bundle, read)
        reading = scored.reading
        seconds = {
            "decode": reading.decode_seconds,
            "preprocess": reading.preprocess_seconds,
            "queue": scored.queue_seconds,
            "infer": scored.infer_seconds,
        }
        for phase, taken in seconds.items():
            self._observe_seconds(bundle, phase, taken)
        response = prediction_response(bundle, model, scored.prediction, reading.tags)
        return Answer(response, bundle, scored.prediction, reading.film)

    async def draw(self, answer: Answer, finding: str, drawn: Callable[[Answer, str], bytes]) -> bytes:
        """What `drawn` makes of an answer and a finding; raises as `drawn` does."""
        started = perf_counter()
        picture = await asyncio.to_thread(drawn, answer, finding)
        self._observe_seconds(answer.bundle, "explain", perf_counter() - started)
        return picture

    def _observe_seconds(self, bundle: Bundle, phase: str, seconds: float) -> None:
        self._recorder.observe(PREDICTION_SECONDS, seconds, model=bundle.manifest.name, phase=phase)

    def _count(self, model: ModelName, channel: str, outcome: str) -> None:
        self._recorder.add(PREDICTIONS, model=model.name, version=model.version, channel=channel, outcome=outcome)
