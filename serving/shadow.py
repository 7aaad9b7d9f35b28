"""The deployment that asks a shadow what production was asked, behind everything else on the machine."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from ray import serve

from models.bundle import Bundle
from models.errors import RadiographError
from models.reading import ReadingLimits, read_radiograph
from monitoring.backends import RayRecorder
from monitoring.metrics import (
    MODEL_LOADS,
    SHADOW_COPIES,
    SHADOW_DISAGREEMENT,
    SHADOW_SCORE_DIFFERENCE,
    SHADOW_SECONDS,
)
from serving.answering import prediction_response
from serving.loading import load
from serving.logs import logger
from serving.priority import step_back
from serving.schemas import ModelName, PredictionResponse
from serving.settings import Settings
from serving.shadow_log import Pair, ShadowLog

_LEAST = 19
_IDLE_SECONDS = 600.0
"""Without a copy, after which the process ends."""

log = logger()


class Shadow:
    """Asks one radiograph after the other, on one thread of the least priority, and compares.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = ReadingLimits(settings.max_upload_bytes, settings.max_pixels)
        self._worker = ThreadPoolExecutor(1, "shadow", step_back, (_LEAST,))
        self._bundles: dict[str, tuple[str, Bundle | None]] = {}
        self._log = ShadowLog(settings.registry_folder)
        self._counts: dict[str, tuple[tuple[str, str], Counter[str], Counter[str]]] = {}
        self._recorder = RayRecorder(
            (MODEL_LOADS, SHADOW_COPIES, SHADOW_DISAGREEMENT, SHADOW_SCORE_DIFFERENCE, SHADOW_SECONDS)
        )

    async def compare(self, model: ModelName, data: bytes, answer: PredictionResponse, seconds: float) -> None:
        """Asks the shadow, and compares.

        Args:
            model: the shadow.
            data: the whole file.
            answer: of production.
            seconds: that production took.
        """
        await asyncio.get_running_loop().run_in_executor(self._worker, self._compare, model, data, answer, seconds)

    def _compare(self, model: ModelName, data: bytes, answer: PredictionResponse, seconds: float) -> None:
        outcome = "failed"
        try:
            started = perf_counter()
            bundle = self._bundle(model)
            if bundle is not None:
                radiograph = read_radiograph(data, self._limits)
                (prediction,) = bundle.predict([radiograph])
                own = prediction_response(bundle, model, prediction, radiograph.tags)
                self._record(answer, own, seconds, perf_counter() - started)
                outcome = "compared"
        except RadiographError:
            outcome = "refused"
        except Exception as error:  # a shadow's failure is its own
            log.error("shadow failed", model=model.reference, error=type(error).__name__)
        finally:
            self._recorder.add(SHADOW_COPIES, model=model.name, outcome=outcome)

    def _bundle(self, model: ModelName) -> Bundle | None:
        """The shadow of a model; None where it could not be loaded, which is tried once."""
        reference, bundle = self._bundles.get(model.name, ("", None))
        if reference == model.reference:
            return bundle
        self._bundles[model.name] = (model.reference, None)
        outcome = "failed"
        try:
            bundle = load(model.reference, self._settings, threads=1)
            self._bundles[model.name] = (model.reference, bundle)
            outcome = "loaded"
            return bundle
        finally:
            self._recorder.add(MODEL_LOADS, model=model.name, outcome=outcome)

    def _record(self, answer: PredictionResponse, own: PredictionResponse, seconds: float, own_seconds: float) -> None:
        name = own.model.name
        versions = (answer.model.digest, own.model.digest)
        counted, of, apart = self._counts.get(name, (None, Counter(), Counter()))
        if counted != versions:
            of, apart = Counter(), Counter()
            self._counts[name] = (versions, of, apart)
        answered = {one.finding: one for one in answer.findings}
        pairs = [Pair(one.finding, answered[one.finding], one) for one in own.findings if one.finding in answered]
        for pair in pairs:
            of[pair.finding] += 1
            apart[pair.finding] += pair.production.present != pair.shadow.present
            share, labels = apart[pair.finding] / of[pair.finding], {"model": name, "finding": pair.finding}
            self._recorder.set(SHADOW_DISAGREEMENT, share, **labels)
            difference = abs(pair.shadow.probability - pair.production.probability)
            self._recorder.observe(SHADOW_SCORE_DIFFERENCE, difference, **labels)
        self._recorder.observe(SHADOW_SECONDS, own_seconds, model=name, of="shadow")
        self._recorder.observe(SHADOW_SECONDS, seconds, model=name, of="production")
        self._log.add(name, versions, pairs, seconds, own_seconds)


def shadow(settings: Settings) -> Any:
    """A `Shadow` bound for deployment: none while there are no copies, else one; what it cannot do is not done."""
    deployment = serve.deployment(
        Shadow,
        name="shadow",
        max_ongoing_requests=settings.max_waiting_copies,
        autoscaling_config={
            "min_replicas": 0,
            "initial_replicas": 0,
            "max_replicas": 1,
            "target_ongoing_requests": 1,
            "upscale_delay_s": 0,
            "downscale_delay_s": _IDLE_SECONDS,
        },
        ray_actor_options={"num_cpus": 0},
    )
    return deployment.bind(settings)
