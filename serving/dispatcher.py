"""Which version answers: production, or its canary about some studies; the shadow gets a copy of what was answered."""

import asyncio
import os
import random
from itertools import compress
from time import monotonic, perf_counter

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from models.errors import (
    BundleError,
    DeadlineError,
    ModelNotFoundError,
    NoChestError,
    NotReadyError,
    OverloadedError,
    SigningKeyError,
    ThoraxError,
)
from monitoring.backends import RayRecorder
from monitoring.metrics import CANARY_STOPS, MODEL_INFO, SHADOW_COPIES
from serving.answering import Answer
from serving.canary import Guard, Outcome, Stop, read_stop, takes, write_stop
from serving.errors import RETRY_AFTER_SECONDS
from serving.lineup import Canary, Lineup, Standing, read_lineup
from serving.logs import logger
from serving.predictor import Predictor
from serving.schemas import ModelDescription, ModelName, PredictionResponse
from serving.settings import Settings

_WATCH_SECONDS = 0.5
_RETRY_SECONDS = 60.0
_PROCESSORS = os.cpu_count() or 1

log = logger()


class Dispatcher:
    """Follows the line-up: what is new answers as soon as it is in memory, and what was answers until then.

    Args:
        predictor: answers.
        shadow: compares; None where no copies are made.
        settings: of the service.

    Raises:
        SettingsError: there is no line-up.
    """

    def __init__(self, predictor: Predictor, shadow: DeploymentHandle | None, settings: Settings) -> None:
        self._predictor = predictor
        self._shadow = shadow
        self._settings = settings
        self._recorder = RayRecorder((CANARY_STOPS, MODEL_INFO, SHADOW_COPIES))
        self._guards: dict[tuple[str, int], Guard] = {}
        self._stopped: set[tuple[str, int]] = set()
        self._copies: set[asyncio.Task[None]] = set()
        self._not_before: dict[str, float] = {}
        self._lineup = read_lineup(settings).model_copy(update={"canaries": (), "shadows": ()})
        self._tell_info(self._lineup, 1)
        self._following = asyncio.get_running_loop().create_task(self._follow())

    def descriptions(self) -> list[ModelDescription]:
        """Of everything that answers, the default first."""
        return [standing.description for standing in self._lineup.answering]

    def check_ready(self) -> None:
        """Returns where a model can answer.

        Raises:
            NotReadyError: none could be loaded.
        """
        if not self._predictor.loaded:
            raise NotReadyError(model=", ".join(self._settings.models), retry_after_seconds=RETRY_AFTER_SECONDS)

    def standing(self, name: str | None) -> Standing:
        """What serves under a name; the default where it is None.

        Raises:
            ModelNotFoundError: no such model serves.
        """
        known = {standing.description.name: standing for standing in self._lineup.models}
        standing = next(iter(known.values())) if name is None else known.get(name)
        if standing is None:
            raise ModelNotFoundError(wanted=f"serving model {str(name)[:100]!r}", known=", ".join(known))
        return standing

    async def predict(self, name: str | None, data: bytes, channel: str, with_film: bool = False) -> Answer:
        """The answer about a PNG, JPEG or DICOM file.

        Args:
            name: of the model; None for the default.
            data: the whole file.
            channel: the way in, for the metrics.
            with_film: whether heat maps are to be laid over the radiograph.

        Raises:
            ModelNotFoundError: no such model serves.
            RadiographError: the file cannot be answered.
            OverloadedError, DeadlineError: there is no answer now.
            BundleError: the model cannot be loaded, or its network fails at this file.
        """
        model = self.standing(name).name
        deadline = perf_counter() + self._settings.request_timeout_seconds
        canary, shadow = self._lineup.canary_of(model.name), self._lineup.shadow_of(model.name)
        if canary is not None and await asyncio.to_thread(takes, canary, data):
            share = perf_counter() + self._settings.request_timeout_seconds / 2
            try:
                return await self._watched(canary, canary.standing.name, data, channel, with_film, share)
            except Exception as error:
                if not _tells_against_the_version(error):
                    raise
                log.warning("canary failed", model=canary.standing.name.reference, error=type(error).__name__)
        started = perf_counter()
        answer = await self._watched(canary, model, data, channel, with_film, deadline)
        self._copy(shadow, data, answer.response, perf_counter() - started)
        return answer

    async def _watched(
        self, canary: Canary | None, model: ModelName, data: bytes, channel: str, with_film: bool, deadline: float
    ) -> Answer:
        """Asks, and tells the guard of the canary that is in trial how that went."""
        started = perf_counter()
        failed = False
        try:
            async with asyncio.timeout(deadline - started):
                return await self._predictor.predict(model, data, channel, with_film)
        except TimeoutError:
            failed = True
            raise DeadlineError(seconds=self._settings.request_timeout_seconds) from None
        except (OverloadedError, asyncio.CancelledError):  # tells nothing about a version
            canary = None
            raise
        except Exception as error:
            failed = _tells_against_the_version(error)
            raise
        finally:
            if canary is not None and (guard := self._guards.get(canary.trial)) is not None:
                of_canary = model == canary.standing.name
                guard.add(Outcome(of_canary, failed, perf_counter() - started))
                # A verdict looks at thousands of answers, and only the canary's own can turn it.
                if of_canary and canary.trial not in self._stopped and (reason := guard.verdict()):
                    self._stop(canary, reason)

    def _stop(self, canary: Canary, reason: str) -> None:
        name = canary.standing.name
        log.error("canary stopped", model=name.reference, version=name.version, reason=reason)
        self._recorder.add(CANARY_STOPS, model=name.name)
        self._stopped.add(canary.trial)
        self._take(self._lineup)
        try:
            write_stop(self._settings, Stop(name=name.name, since=canary.since, reason=reason))
        except OSError as error:  # it has stopped all the same, until this process ends
            log.error("stop not written", model=name.reference, reason=str(error))

    def _copy(self, shadow: Standing | None, data: bytes, answer: PredictionResponse, seconds: float) -> None:
        """Hands a copy on without waiting, unless enough wait, or as many requests are at work as processors."""
        if self._shadow is None or shadow is None or random.random() * 100 >= self._settings.shadow_percent:  # noqa: S311
            return
        if len(self._copies) >= self._settings.max_waiting_copies or self._predictor.at_work >= _PROCESSORS:
            self._recorder.add(SHADOW_COPIES, model=shadow.name.name, outcome="shed")
            return
        task = asyncio.create_task(self._compare(self._shadow, shadow, data, answer, seconds))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)

    async def _compare(
        self, handle: DeploymentHandle, shadow: Standing, data: bytes, answer: PredictionResponse, seconds: float
    ) -> None:
        try:
            await handle.compare.remote(shadow.name, data, answer, seconds)
        except (RayError, RayServeException) as error:
            self._recorder.add(SHADOW_COPIES, model=shadow.name.name, outcome="failed")
            log.warning("shadow failed", model=shadow.name.reference, reason=str(error))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                wanted = await asyncio.to_thread(read_lineup, self._settings)
                models = await asyncio.gather(*(self._prepared(standing) for standing in wanted.models))
                may = await asyncio.gather(*(self._may_answer(canary) for canary in wanted.canaries))
                canaries = tuple(compress(wanted.canaries, may))
            except Exception as error:  # whatever it is, the next round may succeed
                log.error("line-up not followed", serving="what was taken over last", reason=str(error))
                continue
            self._guards = {one.trial: self._guards.get(one.trial) or Guard(self._settings) for one in canaries}
            self._take(wanted.model_copy(update={"models": tuple(models), "canaries": canaries}))

    async def _prepared(self, wanted: Standing) -> Standing:
        """What is wanted, once it is in memory; what answers now, where it cannot be loaded."""
        now = self._lineup.of(wanted.name.name)
        return wanted if wanted.name == now.name or await self._prepare(wanted) else now

    async def _may_answer(self, canary: Canary) -> bool:
        if await asyncio.to_thread(read_stop, self._settings, canary) is not None:
            return False
        return canary.trial in self._guards or await self._prepare(canary.standing)

    async def _prepare(self, standing: Standing) -> bool:
        reference = standing.name.reference
        if monotonic() < self._not_before.get(reference, 0):
            return False
        try:
            await self._predictor.prepare(standing.name)
        except Exception as error:  # whatever it is, the one that serves goes on
            self._not_before[reference] = monotonic() + _RETRY_SECONDS
            log.error("version not taken over", model=reference, version=standing.name.version, reason=str(error))
            return False
        return True

    def _take(self, lineup: Lineup) -> None:
        canaries = tuple(one for one in lineup.canaries if one.trial not in self._stopped)
        lineup = lineup.model_copy(update={"canaries": canaries})
        if lineup == self._lineup:
            return
        before, self._lineup = self._lineup, lineup
        self._tell_info(before, 0)
        self._tell_info(lineup, 1)

    def _tell_info(self, lineup: Lineup, value: float) -> None:
        for standing in (*lineup.answering, *lineup.shadows):
            labels = standing.name.model_dump() | {"alias": standing.alias}
            self._recorder.set(MODEL_INFO, value, model=labels.pop("name"), **labels)


def _tells_against_the_version(error: Exception) -> bool:
    """Whether another version might have answered: not where the file, or the load, is to blame."""
    blamed = (DeadlineError, BundleError, SigningKeyError, NoChestError)
    return isinstance(error, blamed) or not isinstance(error, ThoraxError)
