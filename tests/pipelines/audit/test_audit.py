"""The stage: all tables and the report are written, whatever is found; official lists that leak stop the run."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from models.errors import LeakageError
from pipelines.audit.__main__ import audit, main, refuse_leaks, write_tables
from pipelines.audit.evidence import Evidence
from pipelines.audit.report import write_report
from pipelines.params import Audit
from pipelines.sources import find_source
from tests.pipelines.audit.pictures import described
from tests.pipelines.audit.test_evidence import ANY, write_embeddings
from tests.pipelines.conftest import ROOT, start_stage, write_catalog, write_params
from tests.pipelines.sources import test_covid_chestxray, test_kermany

SOURCES = ["kermany", "covid_chestxray"]
TRAIN = "chest_xray/train/PNEUMONIA/person1_bacteria_1.jpeg"
OTHER = "chest_xray/train/PNEUMONIA/person1_virus_6.jpeg"  # of the same patient
TEST = "chest_xray/test/PNEUMONIA/person9_bacteria_9.jpeg"
FAIL = Audit(executor="local", official_leaks="fail")
WORDS = ("data/catalog", "data/shards", "data/embeddings", "data/audit")


def prepared(folder: Path, rng: np.random.Generator) -> Path:
    """A project with two publishers' layouts, of which one lists an image under train and again under test."""
    data = folder / "data"
    for name, published in zip(SOURCES, (test_kermany.published, test_covid_chestxray.published), strict=True):
        raw = published(data / "raw", rng)
        if name == "kermany":
            shutil.copy(raw / TRAIN, raw / TEST)
        write_catalog(find_source(name), raw, data, ANY)
        write_embeddings(data, name, rng)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("leaking"), np.random.default_rng(20260101))


def outs():
    """What dvc.yaml says the stage writes."""
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["audit"]
    named = [next(iter(out)) if isinstance(out, dict) else out for out in [*stage["outs"], *stage["metrics"]]]
    return {Path(name).name for name in named}


@pytest.fixture(scope="module")
def stopped(project):
    """The stage as DVC runs it, where leaks are to stop it: exit code, what it said, its folder."""
    write_params(project, sources=SOURCES, audit={"official_leaks": "fail"})
    stage = start_stage(project, "audit", *WORDS)
    said = stage.communicate()
    folder = project / "stopped"
    shutil.move(project / "data/audit", folder)
    return stage.returncode, said, folder


@pytest.fixture(scope="module")
def excluding(project, stopped):
    """The folder of a run that leaves out what leaks."""
    write_params(project, sources=SOURCES, audit={"official_leaks": "exclude"})
    with contextlib.chdir(project):
        main(*WORDS)
    return project / "data/audit"


def test_official_lists_that_leak_stop_the_run_in_one_sentence_that_names_the_pair(stopped):
    code, (output, complaint), _ = stopped
    assert code == 1
    assert output == ""
    assert f"kermany: {TRAIN} (train) and {TEST} (test) share the image" in complaint
    assert "data/audit/leaks.csv" in complaint
    assert "audit.official_leaks: exclude" in complaint
    assert "Traceback" not in complaint
    assert complaint.count("\n") == 1


def test_a_run_that_is_stopped_has_written_everything(stopped):
    folder = stopped[2]
    assert {path.name for path in folder.iterdir()} == outs()
    assert "Research use. Not for diagnosis." in (folder / "report.html").read_text(encoding="utf-8")
    leaks = pd.read_csv(folder / "leaks.csv")
    assert leaks[["source", "image", "split_official", "test_image", "shared"]].to_numpy().tolist() == [
        ["kermany", TRAIN, "train", TEST, "image"],
        ["kermany", OTHER, "train", TEST, "image"],
    ]


def test_with_exclude_the_training_side_is_marked_and_the_run_goes_on(excluding):
    groups = pd.read_parquet(excluding / "groups.parquet").set_index("image")
    assert {path.name for path in excluding.iterdir()} == outs()
    assert groups["excluded"].dropna().to_dict() == dict.fromkeys([TRAIN, OTHER], "leaks_official_test")
    assert groups.loc[TRAIN, "group"] == groups.loc[TEST, "group"]
    assert len(groups) == 12


def test_both_ways_the_same_is_written(stopped, excluding):
    for name in outs() - {"report.html"}:
        assert (excluding / name).read_bytes() == (stopped[2] / name).read_bytes(), name


def test_summary_counts_what_was_found(stopped):
    summary = json.loads((stopped[2] / "summary.json").read_text(encoding="utf-8"))
    # 7 radiographs of Kermany's and 5 of the collection's; person1 has two images, one of them is person9's, and a
    # patient of the collection has two.
    assert summary == {
        "images": 12, "groups": 9, "largest_group": 3, "overlaps": 1, "overlaps_across_sources": 0,
        "official_leaks": 2, "label_conflicts": 0, "patients_with_two_ids": 1, "shortcut_warnings": 0,
        "suspicious_labels": 0,
        "odd_images": summary["odd_images"],
    }  # fmt: skip


def test_tables_have_the_columns_that_their_makers_name(stopped):
    heads = {
        name: list(pd.read_csv(stopped[2] / f"{name}.csv")) for name in ("probes", "suspicious", "odd", "conflicts")
    }
    assert heads == {
        "probes": ["scope", "target", "images", "trivial", "embedding", "feature", "feature_auroc", "warning"],
        "suspicious": ["source", "image", "finding", "label", "chance"],
        "odd": ["source", "image", "kind", "value"],
        "conflicts": ["source_a", "image_a", "source_b", "image_b", "finding", "label_of_a"],
    }


def test_of_many_leaks_five_are_named_and_the_rest_counted():
    leaks = pd.DataFrame([("one", f"{number}.png", "train", "t.png", "patient", "g") for number in range(7)])
    leaks.columns = ["source", "image", "split_official", "test_image", "shared", "group"]
    with pytest.raises(LeakageError) as caught:
        refuse_leaks(FAIL, leaks, Path("data/audit"))
    said = str(caught.value)
    assert said.startswith(
        "Pairs of images that would stand on both sides of a split: 7. one: 0.png (train) and t.png (test)"
    )
    assert said.count("share the patient") == 5
    assert "; and 2 more" in said


def test_nothing_that_leaks_is_nothing_to_refuse():
    refuse_leaks(FAIL, pd.DataFrame(columns=["source"]), Path("data/audit"))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_image_is_audited_all_the_same(tmp_path, noise, count):
    pictures = [
        (f"source{number % 2}", f"{number}", noise.integers(0, 256, (99, 99), np.uint8)) for number in range(count)
    ]
    images, thumbnails = described(pictures, Mass=1.0)
    left_out = pd.DataFrame(columns=["image", "scope", "code", "reason", "source"])
    evidence = Evidence(images, left_out, thumbnails, np.zeros((count, 8), np.float32))
    tables = audit(FAIL, evidence, ["source0", "source1"])
    write_tables(tables, tmp_path)
    write_report(tmp_path / "report.html", evidence, tables)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    expected = {"images": count, "groups": count, "largest_group": min(1, count), "overlaps": 0, "official_leaks": 0}
    assert {name: summary[name] for name in expected} == expected
    assert {path.name for path in tmp_path.iterdir()} == outs()
