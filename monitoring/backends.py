"""Where measurements go."""

from collections.abc import Iterable
from threading import Thread
from time import sleep
from typing import Any

from monitoring.metrics import Metric, MetricKind

_REPEAT_SECONDS = 5.0


class RayRecorder:
    """Hands measurements to the metrics agent of this Ray node, which Prometheus scrapes.

    The agent forgets a gauge that was not set for some seconds, so each is set again and again to what it was last.

    Args:
        metrics: that this process records.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        metrics = tuple(metrics)
        self._instruments = {metric.name: _instrument(metric) for metric in metrics}
        self._gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        if any(metric.kind is MetricKind.GAUGE for metric in metrics):
            Thread(target=self._repeat, name="gauges", daemon=True).start()

    def add(self, metric: Metric, **labels: str) -> None:
        """Counts one more."""
        self._instruments[metric.name].inc(1, tags=labels)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Puts a value into a histogram."""
        self._instruments[metric.name].observe(value, tags=labels)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._gauges[metric.name, tuple(labels.items())] = value
        self._instruments[metric.name].set(value, tags=labels)

    def _repeat(self) -> None:
        while True:
            sleep(_REPEAT_SECONDS)
            for (name, labels), value in list(self._gauges.items()):
                self._instruments[name].set(value, tags=dict(labels))


def _instrument(metric: Metric) -> Any:
    from ray.util import metrics as ray_metrics

    if metric.kind is MetricKind.COUNTER:
        return ray_metrics.Counter(metric.name, metric.documentation, metric.labels)
    if metric.kind is MetricKind.GAUGE:
        return ray_metrics.Gauge(metric.name, metric.documentation, metric.labels)
    return ray_metrics.Histogram(metric.name, metric.documentation, list(metric.buckets), metric.labels)
