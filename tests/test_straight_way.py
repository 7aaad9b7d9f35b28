"""The whole way on drawings, as a user goes it: dvc repro, register, promote, predict, serve."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipelines.sources import SOURCES
from tests.conftest import own_ports
from tests.pipelines.conftest import laid_over, write_picture

ROOT = Path(__file__).parents[1]
SMALL: dict[str, dict[str, Any]] = {
    "draw": {"patients": 90, "height_px": 128},
    "train": {"frozen_epochs": 1, "epochs": 1},
    "models": {"baseline": {"epochs": 2}},
    "evaluate": {"replicates": 100},
}
MODELS = ("baseline", "pneumonia", "thoracic")


@dataclass(frozen=True)
class Project:
    """A checkout of its own, and the environment its commands run in."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def must(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def set_params(self, **sections: Any) -> None:
        path = self.folder / "params.yaml"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(laid_over(document, sections)), encoding="utf-8")


def checkout(folder: Path) -> Project:
    """What git would give a newcomer of the working tree, with small figures in params.yaml."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith("data/evaluation/") and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    environment = (
        os.environ
        | own_ports()
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
        }
    )
    project = Project(folder, environment)
    project.set_params(**SMALL)
    project.must("git", "init", "--quiet")
    project.must("git", "add", "--all")
    project.must("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--message=all")
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after `dvc repro`."""
    project = checkout(tmp_path_factory.mktemp("project"))
    project.must("dvc", "repro")
    return project


@pytest.fixture(scope="module")
def registered(project: Project) -> dict[str, Any]:
    project.must("thorax", "registry", "keygen")
    project.must("thorax", "registry", "register", *MODELS)
    for model in MODELS:  # a network of a few steps fails some gates
        project.must("thorax", "registry", "promote", model, "--override", "--reason", "only for this test")
    version: dict[str, Any] = json.loads(project.must("thorax", "registry", "show", "pneumonia"))
    return version


@pytest.fixture(scope="module")
def released(registered: dict[str, Any], project: Project) -> Project:
    """The project with the released models in production, as `make demo` leaves it."""
    project.must("thorax", "registry", "register", "thoracic", "pneumonia", "--released")
    for model in ("thoracic", "pneumonia"):
        project.must("thorax", "registry", "promote", model, "--override", "--reason", "only for this test")
    return project


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Project]:
    """A project in which nothing has run."""
    yield checkout(tmp_path)


def scores(answer: dict[str, Any]) -> list[float]:
    return [number for one in answer["findings"] for number in (one["score"], one["probability"])]


def test_nothing_runs_again_where_nothing_has_changed(project):
    said = project.must("dvc", "repro")
    assert "Running stage 'check'" in said
    assert said.count("Running stage") == 1


def test_figures_have_intervals_and_dvc_shows_them(project):
    figures = json.loads((project.folder / "data/evaluation/pneumonia/metrics.json").read_text())
    for figure in ("accuracy", "balanced_accuracy", "log_loss", "macro_auroc"):
        estimate = figures["test"]["overall"][figure]
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
    shown = json.loads(project.must("dvc", "metrics", "show", "--json"))
    of_dvc = shown[""]["data"]["data/evaluation/pneumonia/metrics.json"]["data"]
    assert of_dvc["test"]["overall"]["accuracy"] == figures["test"]["overall"]["accuracy"]


def test_each_finding_has_a_figure_with_its_interval_its_calibration_and_its_probes(project):
    figures = json.loads((project.folder / "data/evaluation/thoracic/metrics.json").read_text())
    manifest = json.loads((project.folder / "data/bundles/thoracic/bundle.json").read_text())
    (head,) = manifest["heads"]
    assert len(head["findings"]) > 3
    for finding in head["findings"]:
        assert {"auroc", "auprc", "sensitivity", "specificity", "brier", "ece"} <= set(
            figures["test"]["overall"]["findings"][finding]
        )
        assert {"trivial", "source", "confounded"} <= set(figures["probes"][finding])
    assert figures["heat_maps"]["overall"]["hit_rate"]["value"] >= 0
    assert figures["sanity"]["passes"] in {True, False}


def test_report_and_card_are_written_for_each_model(project):
    for model in MODELS:
        report = (project.folder / f"data/evaluation/{model}/report.html").read_text(encoding="utf-8")
        card = (project.folder / f"data/bundles/{model}/MODEL_CARD.md").read_text(encoding="utf-8")
        for page in (report, card):
            assert "Research use. Not for diagnosis." in page
        assert f"dvc repro release@{model}" in card
        assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=.?https?:", report)  # all is in the page


def test_dvc_plots_the_curves_of_training_and_the_roc(project):
    project.must("dvc", "plots", "show", "--out", "plots")
    page = (project.folder / "plots/index.html").read_text(encoding="utf-8")
    for plot in ("training/thoracic/curves.tsv", "evaluation/thoracic/roc.csv", "evaluation/baseline/confusion.csv"):
        assert Path(plot).name in page


def test_dvc_compares_figures_with_those_of_a_commit(project):
    project.must("git", "add", "--all")
    project.must("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--message=figures")
    path = project.folder / "data/evaluation/baseline/metrics.json"
    kept = path.read_text(encoding="utf-8")
    figures = json.loads(kept)
    figures["test"]["overall"]["accuracy"]["value"] = 0.123
    path.write_text(json.dumps(figures), encoding="utf-8")
    assert "0.123" in project.must("dvc", "metrics", "diff", "--all")
    path.write_text(kept, encoding="utf-8")


def test_promotion_puts_the_candidate_in_production(registered, project):
    assert registered["aliases"] == ["candidate", "production"]
    assert registered["version"] == "1"
    manifest = json.loads((project.folder / "data/bundles/pneumonia/bundle.json").read_text())
    assert registered["commit"] == manifest["training"]["commit"]
    assert "test/overall/macro_auroc/value" in registered["metrics"]
    project.must("thorax", "registry", "register", "pneumonia")
    assert json.loads(project.must("thorax", "registry", "show", "pneumonia", "candidate")) == registered


def test_a_file_scores_as_evaluate_measured_it(registered, project):
    measured = pd.read_parquet(project.folder / "data/evaluation/pneumonia/predictions.parquet").head(5)
    files = [f"data/raw/synthetic/{image}" for image in measured["image"]]
    # A network of a few steps may take a drawing for no chest, and exit 1; the others are answered.
    lines = project.run("thorax", "predict", "--model", "pneumonia", "--json", *files).stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert any("findings" in answer for answer in answers)
    for answer, (_, row) in zip(answers, measured.iterrows(), strict=True):
        if "findings" not in answer:
            assert answer["code"] == "no_chest"
            assert row["gate chest_radiograph"] < 0.5
            continue
        assert answer["model"]["digest"] == registered["digest"]
        expected = [row[f"{kind} {one['finding']}"] for one in answer["findings"] for kind in ("score", "probability")]
        np.testing.assert_allclose(scores(answer), expected, atol=1e-6, rtol=0)


def test_the_demo_answers_a_real_radiograph_as_the_command_line_does(released, chest_dicom):
    said = released.must(sys.executable, "-m", "serving.commands.demo", "--once")
    for model in ("thoracic", "pneumonia"):
        line = json.loads(released.must("thorax", "predict", "--model", model, "--json", str(chest_dicom)))
        assert line["model"]["digest"] in said
        assert not line["decision"]["abstain"] or line["decision"]["reasons"]
        for one in line["findings"]:
            assert one["finding"] in said
    for address in ("/v1/predictions", "/docs", f":{released.environment['THORAX_METRICS_PORT']}/metrics"):
        assert address in said


def test_adding_a_source_runs_what_depends_on_it_and_nothing_else(project, noise):
    for name in ("normal/a", "normal/b", "pneumonia/c"):
        write_picture(project.folder / f"ward/{name}.png", noise)
    card = project.folder / "data/sources/folder.yaml"
    described = yaml.safe_load(card.read_text(encoding="utf-8"))
    described["classes"] = {"normal": {"Normal": 1}, "pneumonia": {"Normal": 0}}
    card.write_text(yaml.safe_dump(described), encoding="utf-8")
    project.must("thorax", "data", "fetch", "folder", "--from", "ward")
    project.set_params(sources=["synthetic", "folder"])
    said = project.must("dvc", "repro")
    ran = {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")}
    # The splits are made anew, but come out as they were: the new source says too little for either task. Evaluation
    # looks for lesions in every catalog, and finds what it found; releases read the cards, one of which has changed.
    made_anew = {
        "split@pneumonia",
        "split@thoracic",
        *(f"{at}@{one}" for at in ("evaluate", "release") for one in MODELS),
    }
    assert ran == {"check", "prepare@folder", "catalog@folder", "embed@folder", "audit"} | made_anew
    left_out = pd.read_csv(project.folder / "data/splits/pneumonia.left_out.csv")
    assert left_out[left_out["source"] == "folder"]["code"].tolist() == ["no_label"] * 3


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"train": {"epoch": 3}}, "params.yaml: train.epoch is not a known key"),
        ({"sources": ["kermani"]}, f"Unknown source 'kermani'; known are: {', '.join(SOURCES)}."),
        (
            {"tasks": ["pneumnia", "thoracic"]},
            "models.baseline.task: expected one of the tasks pneumnia, thoracic, but received pneumonia",
        ),
        ({"sources": ["kermany"]}, "Run: thorax data fetch kermany --from FOLDER"),
    ],
)
def test_a_wrong_params_yaml_stops_the_run_with_one_sentence(untouched, wrong, sentence):
    untouched.set_params(**wrong)
    done = untouched.run("dvc", "repro")
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (untouched.folder / "data/raw").exists()
