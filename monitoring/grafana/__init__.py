"""Dashboards as code; `python -m monitoring.grafana` writes the JSON files that Grafana reads from `dashboards/`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.grafana.overview import overview

DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = MappingProxyType({"overview": overview})


def dashboard_json(name: str) -> str:
    """A dashboard of `DASHBOARDS` as Grafana's JSON."""
    encoded: str = JSONEncoder(sort_keys=True, indent=2).encode(DASHBOARDS[name]().build())
    return encoded + "\n"
