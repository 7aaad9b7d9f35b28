"""params.yaml: what is not known or cannot be meant stops the run and names the key."""

import pytest
import yaml

from models.errors import SettingsError, UnknownNameError
from pipelines.params import load_params
from pipelines.spread import EXECUTORS
from tests.pipelines.conftest import ROOT, write_params


def reason(path):
    with pytest.raises(SettingsError) as caught:
        load_params(path)
    assert caught.value.values["where"] == path
    return str(caught.value.values["reason"])


def test_the_committed_settings_load():
    params = load_params(ROOT / "params.yaml")
    assert params.sources == ["synthetic"]
    assert params.tasks == ["pneumonia", "thoracic"]
    assert {name: model.task for name, model in params.models.items()} == {
        "baseline": "pneumonia",
        "pneumonia": "pneumonia",
        "thoracic": "thoracic",
    }
    assert (params.prepare.executor, params.audit.executor, params.audit.official_leaks) == ("local", "local", "fail")
    assert (params.split.external, params.split.uncertain) == ([], "ignore")


def test_a_misspelt_key_is_named(tmp_path):
    path = write_params(tmp_path, train={"epoch": 3})
    assert reason(path) == "train.epoch is not a known key; see pipelines/params.py"


def test_a_misspelt_section_is_named(tmp_path):
    path = write_params(tmp_path, evaluation={"seed": 1})
    assert reason(path) == "evaluation is not a known key; see pipelines/params.py"


def test_a_missing_key_is_named_without_its_neighbours(tmp_path):
    path = write_params(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "batch_size" not in line))
    assert reason(path) == "train.batch_size is missing"


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("train", "epochs", "20", "train.epochs: Input should be a valid integer, received '20'"),
        ("train", "epochs", 2.5, "train.epochs: Input should be a valid integer, received 2.5"),
        ("train", "backbone", 3, "train.backbone: Input should be a valid string, received 3"),
        ("train", "epochs", -1, "train.epochs: Input should be greater than or equal to 0, received -1"),
        ("train", "loss", "hinge", "train.loss: Input should be 'cross_entropy', 'focal' or 'asymmetric', "
                                   "received 'hinge'"),
        ("train", "averaging", 1.0, "train.averaging: Input should be less than 1, received 1.0"),
        ("train", "augment", {"jpeg": 2}, "train.augment.jpeg: Input should be less than or equal to 1, received 2"),
        ("train", "risk", 0, "train.risk: Input should be greater than 0, received 0"),
        ("train", "learning_rate", -0.1, "train.learning_rate: Input should be greater than 0, received -0.1"),
        ("train", "target_sensitivity", 1.1, "train.target_sensitivity: Input should be less than or equal to 1, "
                                             "received 1.1"),
        ("split", "test", 1.0, "split.test: Input should be less than 1, received 1.0"),
        ("split", "test", float("nan"), "split.test: Input should be less than 1, received nan"),
        ("split", "external", "alps", "split.external: Input should be a valid list, received 'alps'"),
        ("split", "uncertain", "one", "split.uncertain: Input should be 'ignore', 'zeros', 'ones' or 'smoothed_ones', "
                                      "received 'one'"),
        ("prepare", "executor", "dask", "prepare.executor: Input should be 'local' or 'ray', received 'dask'"),
        ("prepare", "max_unreadable", 1.0, "prepare.max_unreadable: Input should be less than 1, received 1.0"),
        ("audit", "executor", None, "audit.executor: Input should be 'local' or 'ray', received None"),
        ("audit", "official_leaks", "warn", "audit.official_leaks: Input should be 'fail' or 'exclude', "
                                            "received 'warn'"),
        ("draw", "height_px", 63, "draw.height_px: Input should be greater than or equal to 64, received 63"),
        ("evaluate", "replicates", 99, "evaluate.replicates: Input should be greater than or equal to 100, "
                                       "received 99"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_or_out_of_range_is_named(tmp_path, section, key, value, said):
    assert reason(write_params(tmp_path, **{section: {key: value}})) == said


@pytest.mark.parametrize("key", ["sources", "tasks"])
def test_an_empty_list_is_refused(tmp_path, key):
    assert reason(write_params(tmp_path, **{key: []})).startswith(f"{key}: List should have at least 1 item")


def test_every_mistake_is_said_at_once(tmp_path):
    said = reason(write_params(tmp_path, train={"epoch": 3, "batch_size": 0}, split={"test": 2}))
    assert said.split("; ", 2) == [
        "split.test: Input should be less than 1, received 2",
        "train.batch_size: Input should be greater than 0, received 0",
        "train.epoch is not a known key; see pipelines/params.py",
    ]


def test_a_mistake_of_one_model_is_named_with_it(tmp_path):
    assert reason(write_params(tmp_path, models={"thoracic": {"epoch": 3, "augment": {"blurr": 1}}})) == (
        "models.thoracic.augment.blurr is not a known key; see pipelines/params.py; "
        "models.thoracic.epoch is not a known key; see pipelines/params.py"
    )


def test_a_model_takes_over_what_it_does_not_say_otherwise(tmp_path):
    path = write_params(tmp_path, train={"seed": 5, "augment": {"blur": 0.5}}, models={"thoracic": {"seed": 7}})
    params = load_params(path)
    assert (params.model("pneumonia").seed, params.model("thoracic").seed) == (5, 7)
    assert (params.model("thoracic").augment.blur, params.model("baseline").augment.blur) == (0.5, 0.0)


def test_a_model_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(UnknownNameError, match="Unknown model 'lungs'; known are: baseline, pneumonia, thoracic"):
        load_params(write_params(tmp_path)).model("lungs")


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (
            {"thoracic": {"task": "heart"}},
            "models.thoracic.task: expected one of the tasks pneumonia, thoracic, but received heart",
        ),
        ({"Bad name": {"task": "thoracic"}}, "models.Bad name"),
        ({"thoracic": {"heads": [{"name": "a", "findings": []}]}}, "models.thoracic.heads.0.findings: List should"),
        (
            {"thoracic": {"epochs": 0, "frozen_epochs": 0}},
            "models.thoracic: frozen_epochs and epochs are both 0: nothing would be learnt",
        ),
        ({"thoracic": {"workers": 2, "xla": True}}, "models.thoracic: several workers train in float32 or"),
        ({"thoracic": {"workers": 2, "precision": "mixed_float16"}}, "models.thoracic: several workers train in"),
        ({"thoracic": {"workers": 40}}, "models.thoracic: batch_size is smaller than workers"),
    ],
)
def test_a_model_that_cannot_be_meant_is_refused(tmp_path, models, said):
    assert reason(write_params(tmp_path, models=models)).startswith(said)


def test_shares_that_leave_nothing_to_train_on_are_refused(tmp_path):
    half = {"validation": 0.25, "calibration": 0.25, "test": 0.5}
    assert reason(write_params(tmp_path, split=half)) == (
        "split: validation, calibration and test leave nothing to train on"
    )


@pytest.mark.parametrize("policy", ["ignore", "zeros", "ones", "smoothed_ones"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_each_policy_and_each_executor_can_be_asked_for(tmp_path, policy, executor):
    sections = {"prepare": {"executor": executor}, "audit": {"executor": executor, "official_leaks": "exclude"}}
    params = load_params(write_params(tmp_path, split={"uncertain": policy}, **sections))
    assert (params.split.uncertain, params.prepare.executor, params.audit.executor) == (policy, executor, executor)


def test_an_external_source_has_to_be_among_the_sources(tmp_path):
    path = write_params(tmp_path, sources=["synthetic", "jsrt"], split={"external": ["nlm", "jsrt", "kermany"]})
    assert reason(path) == "split.external: kermany, nlm is not among the sources"
    path = write_params(tmp_path, sources=["synthetic", "jsrt"], split={"external": ["jsrt"]})
    assert load_params(path).split.external == ["jsrt"]


def test_a_missing_section_is_named(tmp_path):
    path = write_params(tmp_path)
    document = yaml.safe_load(path.read_text())
    del document["audit"]
    path.write_text(yaml.safe_dump(document))
    assert reason(path) == "audit is missing"


def test_a_missing_file_says_where_to_run(tmp_path):
    assert reason(tmp_path / "params.yaml") == "expected a readable file; run from the project's folder"


@pytest.mark.parametrize("content", [b"train: [1, 2\nsplit: {", b"key: \xff\xfe", b"\ttrain: 1"])
def test_a_file_that_is_no_yaml_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    said = reason(path)
    assert said.startswith("expected YAML, but ")
    assert "\n" not in said


@pytest.mark.parametrize("content", ["", "- sources\n", "sources\n"])
def test_a_file_without_sections_is_refused(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    assert reason(path).startswith("expected sections and their keys, received ")
