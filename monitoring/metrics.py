"""Every metric of the platform, declared once. No label is unbounded, and none can hold a patient's data."""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """What Prometheus may do with a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as Prometheus knows it; Ray puts `ray_` in front of the names of its replicas' metrics.

    Attributes:
        kind: of its values.
        name: with its unit; a counter ends in `_total`.
        documentation: one sentence.
        labels: their names.
        buckets: upper bounds of a histogram.
    """

    kind: MetricKind
    name: str
    documentation: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SCORES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

PREDICTIONS = Metric(
    MetricKind.COUNTER,
    "thorax_predictions_total",
    "Radiographs that a model was asked about, by channel and outcome (answered, rejected or failed).",
    ("model", "version", "channel", "outcome"),
)
PREDICTION_SECONDS = Metric(
    MetricKind.HISTOGRAM,
    "thorax_prediction_seconds",
    "Seconds of each phase of an answer: decode, preprocess, queue, infer, explain.",
    ("model", "phase"),
    _SECONDS,
)
FINDING_SCORE = Metric(
    MetricKind.HISTOGRAM, "thorax_finding_score", "Scores given, by finding.", ("model", "finding"), _SCORES
)
REJECTIONS = Metric(
    MetricKind.COUNTER, "thorax_rejections_total", "Requests that were refused, by error code.", ("code",)
)
MODEL_INFO = Metric(
    MetricKind.GAUGE,
    "thorax_model_info",
    "1 for each model that serves, 0 for those that did.",
    ("model", "version", "alias", "digest"),
)

MODEL_LOADS = Metric(
    MetricKind.COUNTER,
    "thorax_model_loads_total",
    "Bundles that a replica was to serve, by outcome (loaded or failed).",
    ("model", "outcome"),
)
REGISTRY_UP = Metric(
    MetricKind.GAUGE, "thorax_registry_up", "1 while what the registry says is what serves, else 0.", ()
)
CANARY_STOPS = Metric(
    MetricKind.COUNTER,
    "thorax_canary_stops_total",
    "Canaries that were stopped, for failing or for being slow.",
    ("model",),
)
SHADOW_COPIES = Metric(
    MetricKind.COUNTER,
    "thorax_shadow_copies_total",
    "Copies for a shadow, by outcome (compared, refused, failed, or shed because others wait).",
    ("model", "outcome"),
)
SHADOW_DISAGREEMENT = Metric(
    MetricKind.GAUGE,
    "thorax_shadow_disagreement",
    "Share of the radiographs compared on which production and shadow differ in whether a finding is present.",
    ("model", "finding"),
)
SHADOW_SCORE_DIFFERENCE = Metric(
    MetricKind.HISTOGRAM,
    "thorax_shadow_score_difference",
    "Size of the difference between the probabilities of production and shadow.",
    ("model", "finding"),
    (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
)
SHADOW_SECONDS = Metric(
    MetricKind.HISTOGRAM,
    "thorax_shadow_seconds",
    "Seconds from file to answer of the radiographs compared, of production or shadow.",
    ("model", "of"),
    _SECONDS,
)

METRICS = (
    PREDICTIONS,
    PREDICTION_SECONDS,
    FINDING_SCORE,
    REJECTIONS,
    MODEL_INFO,
    MODEL_LOADS,
    REGISTRY_UP,
    CANARY_STOPS,
    SHADOW_COPIES,
    SHADOW_DISAGREEMENT,
    SHADOW_SCORE_DIFFERENCE,
    SHADOW_SECONDS,
)
