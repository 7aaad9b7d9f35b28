"""`thorax data` and `thorax predict`, and what every command owes its user."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.main import get_command

from serving.cli import app
from tests.pipelines.conftest import ROOT, write_picture

FINDINGS = ["Normal", "Bacterial Pneumonia", "Viral Pneumonia"]


def commands(command, *words):
    """The words of a command and of all those below it."""
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *words, name)


@pytest.fixture
def publisher(tmp_path):
    """Two radiographs as Kermany et al. publish them."""
    rng = np.random.default_rng(5)
    folder = tmp_path / "publisher"
    write_picture(folder / "chest_xray/train/NORMAL/IM-0115-0001.jpeg", rng)
    write_picture(folder / "chest_xray/test/PNEUMONIA/person1_virus_6.jpeg", rng)
    return folder


@pytest.fixture
def dvc_project(tmp_path):
    """A folder that git and DVC know, with this project's DVC configuration."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "-P", "-m", "dvc", "init", "--quiet"], cwd=tmp_path, check=True)
    shutil.copyfile(ROOT / ".dvc/config", tmp_path / ".dvc/config")
    return tmp_path


@pytest.mark.parametrize("words", list(commands(get_command(app))), ids=" ".join)
def test_help_has_an_example(thorax, words):
    helped = thorax(*words, "--help")
    assert helped.code == 0
    assert " ".join(("Example:", "thorax", *words)) in " ".join(helped.out.replace("THORAX_PORT=8001 ", "").split())


def test_the_installed_command_answers_a_mistake_with_one_sentence(tmp_path):
    command = [Path(sys.executable).with_name("thorax"), "data", "fetch", "nih", "--from", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Unknown source 'nih'; known are: kermany, synthetic.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("data", "fetch", "kermany"), ("predict",), ("serve", "now"), ("dance",)])
def test_wrong_words_are_bad_arguments(thorax, words):
    refused = thorax(*words)
    assert refused.code == 2
    assert "Usage: thorax" in refused.err


def test_a_misspelt_variable_stops_a_command(thorax):
    refused = thorax("predict", "chest.dcm", modles="pneumonia@production")
    assert refused.code == 2
    assert refused.err.startswith("environment: THORAX_MODLES is not a setting")


def test_list_says_which_sources_are_here(thorax, tmp_path):
    assert [line.split("\t")[:2] for line in thorax("data", "list").out.splitlines()] == [
        ["kermany", "not fetched"],
        ["synthetic", "drawn by dvc repro"],
    ]
    (tmp_path / "data/raw/kermany").mkdir(parents=True)
    assert thorax("data", "list").out.splitlines()[0].split("\t") == [
        "kermany",
        "here",
        "Normal, Bacterial Pneumonia, Viral Pneumonia, Pneumonia",
    ]


def test_fetch_brings_the_files_and_hands_them_to_dvc(thorax, dvc_project, publisher, monkeypatch):
    # `thorax` is found by its path, in an environment that is not activated.
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    fetched = thorax("data", "fetch", "kermany", "--from", publisher)
    assert (fetched.code, fetched.err) == (0, "")
    assert fetched.out == "data/raw/kermany is here. Name kermany under sources in params.yaml and run: dvc repro\n"
    raw = dvc_project / "data/raw/kermany"
    for name in ("chest_xray/train/NORMAL/IM-0115-0001.jpeg", "chest_xray/test/PNEUMONIA/person1_virus_6.jpeg"):
        assert (raw / name).read_bytes() == (publisher / name).read_bytes()
    (tracked,) = yaml.safe_load((dvc_project / "data/raw/kermany.dvc").read_text())["outs"]
    assert (tracked["path"], tracked["nfiles"]) == ("kermany", 2)
    assert (dvc_project / "data/raw/.gitignore").read_text() == "/kermany\n"


def test_fetch_from_a_folder_without_the_files_leaves_nothing(thorax, tmp_path):
    (tmp_path / "empty").mkdir()
    refused = thorax("data", "fetch", "kermany", "--from", "empty")
    assert refused.code == 1
    assert refused.err == (
        "Expected the publisher's chest_xray under empty, but found none. Name the folder that holds it with --from.\n"
    )
    assert not (tmp_path / "data").exists()


def test_fetch_outside_a_dvc_project_says_that_dvc_refuses(thorax, publisher, tmp_path):
    refused = thorax("data", "fetch", "kermany", "--from", publisher)
    assert refused.code == 1
    assert refused.err.startswith("data/raw/kermany is complete, but DVC does not track it: ERROR: you are not inside")
    assert (tmp_path / "data/raw/kermany/chest_xray/train/NORMAL/IM-0115-0001.jpeg").exists()


def test_fetch_of_a_drawn_source_says_who_draws_it(thorax, tmp_path):
    refused = thorax("data", "fetch", "synthetic", "--from", ".")
    assert (refused.code, refused.err) == (1, "synthetic is drawn by `dvc repro`; there is nothing to fetch.\n")
    assert list(tmp_path.iterdir()) == []


def test_predict_scores_a_real_radiograph_with_the_bundle_at_a_path(thorax, bundle_folder, chest_dicom):
    done = thorax("predict", chest_dicom, "--model", bundle_folder, "--json")
    assert done.code == 0
    answer = json.loads(done.out)
    assert answer["file"] == str(chest_dicom)
    assert (answer["model"]["name"], answer["model"]["version"]) == ("pneumonia", "unregistered")
    assert [one["finding"] for one in answer["findings"]] == FINDINGS
    assert sum(one["score"] for one in answer["findings"]) == pytest.approx(1)


def test_predict_asks_the_engine_of_the_settings_and_engines_agree(thorax, bundle_folder, chest_dicom):
    answers = [
        json.loads(thorax("predict", chest_dicom, "--model", bundle_folder, "--json", engine=engine).out)
        for engine in ("openvino", "onnxruntime")
    ]
    assert [answer["provenance"]["engine"] for answer in answers] == ["openvino", "onnxruntime"]
    scores = [[one["score"] for one in answer["findings"]] for answer in answers]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_predict_without_json_gives_a_sentence_a_file(thorax, bundle_folder, chest_dicom, tmp_path):
    missing = tmp_path / "missing.dcm"
    done = thorax("predict", missing, chest_dicom, "--model", bundle_folder)
    assert done.code == 1
    (sentence,) = done.out.splitlines()
    assert sentence.startswith(f"{chest_dicom}: Normal 0.")
    assert "Research use. Not for diagnosis." in sentence
    (complaint,) = done.err.splitlines()
    assert complaint.startswith(f"{missing}: Expected a readable file at {missing}, but No such file or directory.")


def test_predict_refuses_a_bundle_that_was_changed(thorax, bundle_folder, chest_dicom, tmp_path):
    changed = shutil.copytree(bundle_folder, tmp_path / "changed")
    with (changed / "model.onnx").open("ab") as graph:
        graph.write(b"\0")
    refused = thorax("predict", chest_dicom, "--model", changed)
    assert (refused.code, refused.out) == (1, "")
    (sentence,) = refused.err.splitlines()
    assert sentence.startswith(f"{changed / 'model.onnx'}: expected sha256:")
    assert sentence.endswith("The bundle is not loaded; download it again.")


def test_predict_refuses_a_file_over_the_limit_as_the_service_does(thorax, bundle_folder, chest_dicom):
    done = thorax("predict", chest_dicom, "--model", bundle_folder, "--json", max_upload_bytes="1000")
    assert done.code == 1
    answer = json.loads(done.out)
    assert (answer["status"], answer["code"], answer["file"]) == (413, "too_large", str(chest_dicom))
