"""What the README says is true."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from models.backbones import BACKBONES
from models.findings import FINDINGS
from models.gates import CHEST_RADIOGRAPH_FROM, IN_DISTRIBUTION_FROM
from models.registry.registry import ALIASES
from monitoring.metrics import METRICS
from pipelines.catalog import SCHEMA
from pipelines.params import Promote, Train, load_params
from pipelines.promotion import judge
from pipelines.sources import SOURCES
from serving.api import api
from serving.cli import app
from serving.errors import STATUS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TRAINING = (ROOT / "docs/training.md").read_text(encoding="utf-8")
REGISTRY = (ROOT / "docs/registry.md").read_text(encoding="utf-8")
DATA = (ROOT / "docs/data.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SHELL = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README + DATA + TRAINING + REGISTRY, re.DOTALL)
    for line in block.splitlines()
]
AUDIT = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["audit"]
TARGETS = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def rows(first_column: str, page: str = README) -> list[list[str]]:
    """The cells of the page's table whose header begins with these words."""
    lines = page.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def test_it_says_what_it_is_not_for():
    assert "Research use. Not for diagnosis." in README


@pytest.mark.parametrize("words", sorted(set(re.findall(r"\bmake (\w+)", "\n".join(SHELL) + CONTRIBUTING))))
def test_every_make_target_exists(words):
    assert words in TARGETS


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("thorax ")])
def test_every_thorax_command_is_understood(line):
    command, words = get_command(app), shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context(command.name, words, resilient_parsing=False)
    assert context.command is command


def test_its_sources_are_known():
    fetched = [line.split()[3] for line in SHELL if line.startswith("thorax data fetch")]
    assert fetched
    assert set(fetched) <= set(SOURCES)


def test_every_source_is_described():
    assert sorted(cells[0].strip("`") for cells in rows("source", DATA)) == sorted(SOURCES)


def test_every_column_of_a_catalog_is_described():
    said = {name for cells in rows("column", DATA) for name in re.findall(r"`(\w+)`", cells[0])}
    assert said == set(SCHEMA.names) - set(FINDINGS)


def test_every_table_of_the_audit_is_described():
    made = {Path(next(iter(out)) if isinstance(out, dict) else out).name for out in AUDIT["outs"]}
    assert made <= set(re.findall(r"`([\w.]+)`", DATA))


def test_every_setting_of_a_model_is_described():
    described = {name for cells in rows("setting", TRAINING) for name in re.findall(r"`(\w+)`", cells[0])}
    itself = {"task", "heads", "batch_size", "frozen_learning_rate", "seed"}  # named in the text around the table
    assert described == set(Train.model_fields) - itself
    assert all(f"`{name}`" in TRAINING or f"{name}" in TRAINING for name in itself)


def test_every_backbone_is_named():
    (cells,) = [cells for cells in rows("setting", TRAINING) if cells[0] == "`backbone`"]
    assert set(re.findall(r"`(\w+)`", cells[1])) == set(BACKBONES)


def test_the_thresholds_of_the_gates_are_those_of_the_code():
    said = {cells[0].strip("`"): cells[2] for cells in rows("gate", TRAINING)}
    assert said["chest_radiograph"].endswith(f"below {CHEST_RADIOGRAPH_FROM}")
    assert said["in_distribution"].endswith(f"below {IN_DISTRIBUTION_FROM}")


def test_gates_aliases_and_settings_of_a_promotion_are_described(bundle):
    gates = [result.gate for result in judge(bundle, {}, None, (), load_params(ROOT / "params.yaml").promote)]
    assert [cells[0] for cells in rows("gate", REGISTRY)] == gates
    for name in (*ALIASES, *Promote.model_fields):
        assert f"`{name}`" in REGISTRY


def test_its_routes_are_those_that_are_answered():
    answered = {(method.upper(), path) for path, methods in api.openapi()["paths"].items() for method in methods}
    said = {tuple(cells[0].strip("`").split()) for cells in rows("route")}
    assert said == answered | {("GET", "/docs"), ("GET", "/")}


def test_its_metrics_are_those_that_are_recorded():
    said = {
        cells[0].strip("`").removeprefix("ray_"): tuple(filter(None, cells[1].split(", "))) for cells in rows("metric")
    }
    assert said == {metric.name: metric.labels for metric in METRICS}


def test_its_statuses_are_those_of_the_table_of_errors():
    said = {
        int(status) for status in re.findall(r"\b([45]\d\d)\b (?:malformed|unknown|too|neither|readable|over)", README)
    }
    assert said == {int(status) for status in STATUS.values()} - {500}


def test_the_folders_and_files_it_names_exist():
    named = re.findall(r"`([\w./<>-]+/[\w./<>-]*)`", README)
    mine = [name for name in named if name.split("/")[0] in {"models", "pipelines", "serving", "monitoring"}]
    assert mine
    assert [name for name in mine if "<" not in name and not (ROOT / name).exists()] == []
