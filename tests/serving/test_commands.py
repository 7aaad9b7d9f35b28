"""`thorax predict`, and what every command owes its user."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

from serving.cli import app

FINDINGS = ["Normal", "Bacterial Pneumonia", "Viral Pneumonia"]


def commands(command, *words):
    """The words of a command and of all those below it."""
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *words, name)


@pytest.mark.parametrize("words", list(commands(get_command(app))), ids=" ".join)
def test_help_has_an_example(thorax, words):
    helped = thorax(*words, "--help")
    assert helped.code == 0
    assert " ".join(("Example:", "thorax", *words)) in " ".join(helped.out.replace("THORAX_PORT=8001 ", "").split())


def test_the_installed_command_answers_a_mistake_with_one_sentence(tmp_path):
    command = [Path(sys.executable).with_name("thorax"), "data", "fetch", "nih", "--from", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Unknown source 'nih'; known are: ")
    assert done.stderr.count("\n") == 1
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


def test_predict_draws_a_heat_map_of_each_finding_of_each_file(thorax, bundle_folder, chest_dicom, tmp_path):
    done = thorax("predict", chest_dicom, chest_dicom, "--model", bundle_folder, "--explain", tmp_path / "maps")
    assert done.code == 0
    names = {f"{number}-{chest_dicom.stem}-{finding}.png" for number in (1, 2) for finding in FINDINGS}
    assert {file.name for file in (tmp_path / "maps").iterdir()} == names
    with Image.open(tmp_path / "maps" / f"1-{chest_dicom.stem}-Normal.png") as picture:
        assert picture.width == 1841


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
