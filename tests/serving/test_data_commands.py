"""`thorax data`: sources are listed with their terms, fetched, and handed to DVC, which can also fetch by itself."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipelines.raw import RawFiles
from tests.pipelines.conftest import ROOT, write_picture
from tests.remotes import put, serving

IMAGES = ("chest_xray/test/PNEUMONIA/person1_virus_6.jpeg", "chest_xray/train/NORMAL/IM-0115-0001.jpeg")


@pytest.fixture
def project(tmp_path):
    """A project folder with the cards, that neither git nor DVC know."""
    shutil.copytree(ROOT / "data/sources", tmp_path / "data/sources")
    return tmp_path


@pytest.fixture
def dvc_project(project):
    """A project that git and DVC know, with this project's DVC configuration."""
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    dvc(project, "init")
    shutil.copyfile(ROOT / ".dvc/config", project / ".dvc/config")
    return project


@pytest.fixture
def publisher(tmp_path):
    """Two radiographs as Kermany et al. publish them."""
    rng = np.random.default_rng(5)
    for image in IMAGES:
        write_picture(tmp_path / "publisher" / image, rng)
    return tmp_path / "publisher"


def dvc(folder, *words):
    command = [sys.executable, "-P", "-m", "dvc", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shown(folder):
    files = RawFiles(folder)
    return {path: files.read(path) for path in files.paths}


def contents(folder):
    return {image: (folder / image).read_bytes() for image in IMAGES}


def test_list_says_which_sources_are_here_and_what_their_licence_is(thorax, project):
    (project / "data/raw/kermany").mkdir(parents=True)
    lines = dict(line.split("\t", 1) for line in thorax("data", "list").out.splitlines())
    assert lines["kermany"] == (
        "here\tNormal, Bacterial Pneumonia, Viral Pneumonia, Pneumonia\tCC BY 4.0, as the publisher's page states it"
    )
    assert lines["synthetic"].startswith("drawn by dvc repro\t")
    assert lines["synthetic"].endswith("\tApache-2.0, as the project")
    assert lines["nih_chestxray14"].startswith("not fetched\t")


def test_fetch_brings_the_files_and_hands_them_to_dvc(thorax, dvc_project, publisher, monkeypatch):
    # `thorax` is found by its path, in an environment that is not activated.
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    (publisher / ".DS_Store").touch()
    size = sum(len(data) for data in contents(publisher).values())
    fetched = thorax("data", "fetch", "kermany", "--from", publisher)
    assert (fetched.code, fetched.err) == (0, "")
    assert fetched.out == (
        f"data/raw/kermany is here: 2 files of {size} bytes; checksums verified: 0; hidden and system files left out: "
        "1. Name kermany under sources in params.yaml and run: dvc repro\n"
    )
    assert shown(dvc_project / "data/raw/kermany") == contents(publisher)
    record = yaml.safe_load((dvc_project / "data/raw/kermany.dvc").read_text())
    (tracked,) = record["outs"]
    assert (tracked["path"], tracked["nfiles"]) == ("kermany", 1)
    assert record["meta"] == {
        "origin": str(publisher),
        "fetched": datetime.now(UTC).date().isoformat(),
        "files": 2,
        "bytes": size,
        "verified": 0,
    }
    assert (dvc_project / "data/raw/.gitignore").read_text() == "/kermany\n"


def test_dvc_reads_the_record_and_keeps_it(thorax, dvc_project, publisher):
    thorax("data", "fetch", "kermany", "--from", publisher)
    stages = {
        "stages": {"count": {"cmd": "ls data/raw/kermany > count", "deps": ["data/raw/kermany"], "outs": ["count"]}}
    }
    (dvc_project / "dvc.yaml").write_text(yaml.safe_dump(stages))
    dvc(dvc_project, "repro")
    assert (dvc_project / "count").read_text() == "files-00000.zip\n"
    assert dvc(dvc_project, "status") == "Data and pipelines are up to date.\n"
    record = (dvc_project / "data/raw/kermany.dvc").read_text()
    (dvc_project / "data/raw/kermany/more.csv").write_text("more")
    dvc(dvc_project, "add", "data/raw/kermany")
    again = yaml.safe_load((dvc_project / "data/raw/kermany.dvc").read_text())
    assert again["meta"] == yaml.safe_load(record)["meta"]
    assert again["outs"][0]["nfiles"] == 2


def test_fetching_the_same_again_changes_nothing(thorax, dvc_project, publisher):
    thorax("data", "fetch", "kermany", "--from", publisher)
    (before,) = yaml.safe_load((dvc_project / "data/raw/kermany.dvc").read_text())["outs"]
    assert thorax("data", "fetch", "kermany", "--from", publisher).code == 0
    assert yaml.safe_load((dvc_project / "data/raw/kermany.dvc").read_text())["outs"] == [before]


def test_no_secret_of_an_address_is_recorded_or_told(thorax, dvc_project, publisher):
    archive = shutil.make_archive(str(publisher), "zip", publisher)
    with serving({"/kermany.zip": Path(archive).read_bytes()}) as site:
        address = site.address.replace("http://", "http://me:secret@") + "/kermany.zip?token=secret"
        fetched = thorax("data", "fetch", "kermany", "--from", address)
        refused = thorax("data", "fetch", "kermany", "--from", address.replace("kermany.zip", "gone.zip"))
    assert (fetched.code, refused.code) == (0, 1)
    assert yaml.safe_load((dvc_project / "data/raw/kermany.dvc").read_text())["meta"]["origin"] == (
        f"{site.address}/kermany.zip"
    )
    left = [path for path in dvc_project.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
    assert left == []
    assert "secret" not in fetched.out + fetched.err + refused.out + refused.err


def test_fetch_verifies_a_checksum_that_is_given(thorax, dvc_project, publisher):
    archive = shutil.make_archive(str(publisher), "zip", publisher)
    refused = thorax("data", "fetch", "kermany", "--from", archive, "--checksum", "md5:" + "0" * 32)
    assert refused.code == 1
    assert f"expected publisher.zip with md5:{'0' * 32}, but received md5:" in refused.err
    assert not (dvc_project / "data/raw/kermany").exists()
    received = refused.err.partition("received ")[2][:36]
    fetched = thorax("data", "fetch", "kermany", "--from", archive, "--checksum", received)
    assert "checksums verified: 1;" in fetched.out


def test_a_checksum_of_a_folder_is_a_bad_argument(thorax, project, publisher):
    refused = thorax("data", "fetch", "kermany", "--from", publisher, "--checksum", "md5:" + "0" * 32)
    assert refused.code == 2
    assert refused.err.startswith(
        "--checksum: expected sha256: or md5: with its digits, and an origin that is one file"
    )


def test_fetch_from_a_folder_without_the_files_leaves_nothing(thorax, project):
    (project / "empty").mkdir()
    refused = thorax("data", "fetch", "kermany", "--from", "empty")
    assert refused.code == 1
    assert refused.err == (
        "Expected chest_xray/*/*/*.jp*g under empty, but found none. Name the folder that holds it with --from.\n"
    )
    assert not (project / "data/raw").exists()


def test_fetch_outside_a_dvc_project_says_that_dvc_refuses(thorax, publisher, project):
    refused = thorax("data", "fetch", "kermany", "--from", publisher)
    assert refused.code == 1
    assert refused.err.startswith("data/raw/kermany is complete, but DVC does not track it: ERROR: you are not inside")
    assert shown(project / "data/raw/kermany") == contents(publisher)


def test_fetch_of_a_drawn_source_says_who_draws_it(thorax, tmp_path):
    refused = thorax("data", "fetch", "synthetic", "--from", ".")
    assert (refused.code, refused.err) == (1, "synthetic is drawn by `dvc repro`; there is nothing to fetch.\n")
    assert list(tmp_path.iterdir()) == []


def test_dvc_imports_a_prefix_of_s3_by_itself(dvc_project, publisher, bucket):
    put(bucket, **{f"kermany/{image}": data for image, data in contents(publisher).items()})
    (dvc_project / "data/raw").mkdir()
    dvc(dvc_project, "import-url", "s3://hospital/kermany", "data/raw/kermany")
    assert shown(dvc_project / "data/raw/kermany") == contents(publisher)


@pytest.mark.parametrize("remote", ["share", "s3://hospital/dvc"])
def test_dvc_shares_a_fetched_source_with_a_remote(thorax, dvc_project, publisher, bucket, remote):
    (dvc_project / "share").mkdir()
    thorax("data", "fetch", "kermany", "--from", publisher)
    dvc(dvc_project, "remote", "add", "--default", "hospital", remote)
    dvc(dvc_project, "push")
    shutil.rmtree(dvc_project / "data/raw/kermany")
    shutil.rmtree(dvc_project / ".dvc/cache")
    dvc(dvc_project, "pull")
    assert shown(dvc_project / "data/raw/kermany") == contents(publisher)
