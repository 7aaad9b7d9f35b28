"""Where measurements go."""

from collections.abc import Iterable
from typing import Any

from monitoring.metrics import Metric, MetricKind


class RayRecorder:
    """Hands measurements to the metrics agent of this Ray node, which Prometheus scrapes.

    Args:
        metrics: that this process records.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._instruments = {metric.name: _instrument(metric) for metric in metrics}

    def add(self, metric: Metric, **labels: str) -> None:
        """Counts one more."""
        self._instruments[metric.name].inc(1, tags=labels)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Puts a value into a histogram."""
        self._instruments[metric.name].observe(value, tags=labels)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._instruments[metric.name].set(value, tags=labels)


def _instrument(metric: Metric) -> Any:
    from ray.util import metrics as ray_metrics

    if metric.kind is MetricKind.COUNTER:
        return ray_metrics.Counter(metric.name, metric.documentation, metric.labels)
    if metric.kind is MetricKind.GAUGE:
        return ray_metrics.Gauge(metric.name, metric.documentation, metric.labels)
    return ray_metrics.Histogram(metric.name, metric.documentation, list(metric.buckets), metric.labels)
