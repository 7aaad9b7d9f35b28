"""Writes every dashboard beside this module; a test holds the files equal to the code."""

from pathlib import Path

from monitoring.grafana import DASHBOARDS, dashboard_json

for name in DASHBOARDS:
    (Path(__file__).parent / "dashboards" / f"{name}.json").write_text(dashboard_json(name), encoding="utf-8")
