"""Where measurements go."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from threading import Thread
from time import sleep
from typing import Any

from monitoring.metrics import Metric, MetricKind

log = logging.getLogger(__name__)

_HAND_OVER_SECONDS = 0.5
_REPEAT_EVERY = 10
"""So many times less often is a gauge repeated."""


class RayRecorder:
    """Hands measurements to the metrics agent of this Ray node, which Prometheus scrapes.

    A thread does so, twice a second: at each measurement Ray lets go of the interpreter, which then turns to other
    threads first, so that an answer with two dozen of them, or one of many refusals, would wait for each. What was
    measured in the last half second of a process is lost with it.

    The agent forgets a gauge that was not set for some seconds, so each is set again and again to what it was last.

    Args:
        metrics: that this process records.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._instruments = {metric.name: _instrument(metric) for metric in metrics}
        self._measured: deque[tuple[Callable[..., None], float, dict[str, str]]] = deque()
        self._gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        Thread(target=self._hand_over, name="measurements", daemon=True).start()

    def add(self, metric: Metric, **labels: str) -> None:
        """Counts one more."""
        self._measured.append((self._instruments[metric.name].inc, 1, labels))

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Puts a value into a histogram."""
        self._measured.append((self._instruments[metric.name].observe, value, labels))

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._gauges[metric.name, tuple(labels.items())] = value
        self._measured.append((self._instruments[metric.name].set, value, labels))

    def _hand_over(self) -> None:
        while True:
            for _ in range(_REPEAT_EVERY):
                sleep(_HAND_OVER_SECONDS)
                while self._measured:
                    record, value, labels = self._measured.popleft()
                    try:
                        record(value, tags=labels)
                    except Exception:  # one that Ray refuses does not end this thread, and with it all others
                        log.exception("measurement not handed over")
            for (name, pairs), value in list(self._gauges.items()):
                self._instruments[name].set(value, tags=dict(pairs))


def _instrument(metric: Metric) -> Any:
    from ray.util import metrics as ray_metrics

    if metric.kind is MetricKind.COUNTER:
        return ray_metrics.Counter(metric.name, metric.documentation, metric.labels)
    if metric.kind is MetricKind.GAUGE:
        return ray_metrics.Gauge(metric.name, metric.documentation, metric.labels)
    return ray_metrics.Histogram(metric.name, metric.documentation, list(metric.buckets), metric.labels)
