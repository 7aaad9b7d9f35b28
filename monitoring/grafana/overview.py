"""The first look: is it used, does it answer, how fast, what does it find, and which model answers."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.metrics import (
    FINDING_SCORE,
    MODEL_INFO,
    PREDICTION_SECONDS,
    PREDICTIONS,
    REJECTIONS,
    SHADOW_COPIES,
    SHADOW_DISAGREEMENT,
    Metric,
)

_DATASOURCE = DataSourceRef(type_val="prometheus", uid="thorax-prometheus")
_WINDOW = "$__rate_interval"
_HALF, _QUARTER = 12, 6  # of the 24 columns of Grafana's grid
_NOTICE = "Research use. Not for diagnosis."


def overview() -> dashboard.Dashboard:
    """Traffic, errors, latency by phase, findings and the version of each model."""
    return (
        dashboard.Dashboard("Thoracic disease platform: overview")
        .uid("thorax-overview")
        .description(_NOTICE)
        .tags(["thorax"])
        .readonly()
        .refresh("10s")
        .time("now-1h", "now")
        .with_panel(
            _number("Answered in the last hour", f'sum(increase({_of(PREDICTIONS)}{{outcome="answered"}}[1h]))')
        )
        .with_panel(_number("Refused in the last hour", f"sum(increase({_of(REJECTIONS)}[1h]))"))
        .with_panel(_models())
        .with_panel(_lines("Traffic", "reqps", _rate(PREDICTIONS, "model, outcome"), "{{model}} {{outcome}}"))
        .with_panel(_lines("Errors", "reqps", _rate(REJECTIONS, "code"), "{{code}}"))
        .with_panel(_at_the_door())
        .with_panel(_lines("Latency by phase, median", "s", _latency(0.5), "{{phase}}"))
        .with_panel(_lines("Latency by phase, 95th percentile", "s", _latency(0.95), "{{phase}}"))
        .with_panel(_findings())
        .with_panel(_disagreement())
        .with_panel(_lines("Copies for a shadow", "reqps", _rate(SHADOW_COPIES, "outcome"), "{{outcome}}"))
        .with_panel(_lines("Findings, score at the 90th percentile", "percentunit", _scores(0.9), "{{finding}}"))
    )


def _at_the_door() -> timeseries.Panel:
    answers = f'sum by (code) (rate(haproxy_frontend_http_responses_total{{proxy="http_frontend"}}[{_WINDOW}]))'
    return _lines("Answers at the door", "reqps", answers, "{{code}}").description(
        "By HAProxy's count. What it turns away itself while the service is full (5xx) is in no other panel."
    )


def _of(metric: Metric) -> str:
    """The metric's name as a replica exports it."""
    return f"ray_{metric.name}"


def _rate(metric: Metric, by: str, part: str = "") -> str:
    return f"sum by ({by}) (rate({_of(metric)}{part}[{_WINDOW}]))"


def _latency(quantile: float) -> str:
    return f"histogram_quantile({quantile}, {_rate(PREDICTION_SECONDS, 'le, phase', '_bucket')})"


def _scores(quantile: float) -> str:
    return f"histogram_quantile({quantile}, {_rate(FINDING_SCORE, 'le, finding', '_bucket')})"


def _findings() -> timeseries.Panel:
    mean = f"{_rate(FINDING_SCORE, 'finding', '_sum')} / {_rate(FINDING_SCORE, 'finding', '_count')}"
    return _lines("Findings, mean score", "percentunit", mean, "{{finding}}").description(
        "Ray adds up a histogram by the middles of its buckets, so the mean is as fine as they are."
    )


def _disagreement() -> timeseries.Panel:
    share = f"max by (model, finding) ({_of(SHADOW_DISAGREEMENT)})"
    return _lines("Production and shadow disagree", "percentunit", share, "{{model}} {{finding}}").description(
        "Share of the radiographs compared since the shadow began on which only one of them calls the finding present."
    )


def _models() -> table.Panel:
    info = f"max by (model, version, alias, digest) ({_of(MODEL_INFO)})"
    query = _query(info).instant().format(PromQueryFormat.TABLE)
    return _placed(table.Panel().title("Models that serve").with_target(query), _HALF)


def _number(title: str, expression: str) -> stat.Panel:
    return _placed(stat.Panel().title(title).unit("short").decimals(0).with_target(_query(expression)), _QUARTER)


def _lines(title: str, unit: str, expression: str, legend: str) -> timeseries.Panel:
    query = _query(expression).legend_format(legend)
    return _placed(timeseries.Panel().title(title).unit(unit).min(0).with_target(query), _HALF)


def _placed(panel: Any, columns: int) -> Any:
    return panel.datasource(_DATASOURCE).height(8).span(columns)


def _query(expression: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).ref_id("A")
