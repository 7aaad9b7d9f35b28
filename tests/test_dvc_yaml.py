"""dvc.yaml reruns a stage when anything that its result follows from has changed."""

from pathlib import Path

import grimp
import pytest
import yaml

from pipelines.sources import SOURCES

ROOT = Path(__file__).parents[1]
WRITTEN = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in WRITTEN.items()}
SECTIONS = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
# A result does not follow from the words of an error, from a progress bar, or from the table of a package.
NO_PART_IN_RESULTS = {"models.errors", "pipelines.stage"}
PACKAGES = ("models", "monitoring", "pipelines")
# The table of sources, and the sources in it: a stage depends on the file of its own source alone, so that adding one
# concerns no other.
TABLE = {"pipelines.sources", *(f"pipelines.sources.{name}" for name in SOURCES)}
# What only the rows of a source are read with; no pixel follows from it.
OF_ROWS = {"models.findings", *(f"pipelines.sources.{name}" for name in ("boxes", "card", "cells", "tables"))}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def module_of(stage: str) -> str:
    return STAGES[stage]["cmd"].split()[2]


def file_of(module: str) -> Path:
    path = Path(*module.split("."))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")


def sections_of(stage: str) -> set[str]:
    return {param.partition(".")[0] for param in STAGES[stage].get("params", [])}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_the_module_of_its_name(stage):
    assert module_of(stage) == f"pipelines.{stage}"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if not STAGES[stage].get("always_changed")])
def test_deps_cover_what_a_stage_imports(stage, graph):
    imported = {module_of(stage), *graph.find_upstream_modules(module_of(stage))} - NO_PART_IN_RESULTS
    deps = [Path(dep) for dep in STAGES[stage]["deps"]]
    if Path("pipelines/sources/${item.source}.py") in deps:
        imported -= TABLE
    if stage == "prepare":
        imported -= OF_ROWS
    files = {file_of(module) for module in imported if module not in PACKAGES}
    assert not {file for file in files if not any(file == dep or dep in file.parents for dep in deps)}


@pytest.mark.parametrize("stage", STAGES)
def test_code_that_a_stage_depends_on_exists(stage):
    code = [dep for dep in STAGES[stage].get("deps", []) if not dep.startswith("data/")]
    files = {dep.replace("${item.source}", source) for dep in code for source in SOURCES}
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_of_a_stage_are_sections_of_params_yaml(stage):
    assert sections_of(stage) <= SECTIONS


def test_every_section_with_a_stage_of_its_name_is_a_param_of_it():
    assert {stage for stage in STAGES if stage in SECTIONS} == {
        stage for stage in STAGES if stage in sections_of(stage)
    }
    # Promoting is a command, not a stage.
    assert SECTIONS - set(STAGES) == {"sources", "tasks", "models", "promote"}


def test_every_out_of_a_stage_lies_under_data():
    outs = [out for stage in STAGES.values() for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    paths = [next(iter(out)) if isinstance(out, dict) else out for out in outs]
    assert [path for path in paths if not path.startswith("data/")] == []
