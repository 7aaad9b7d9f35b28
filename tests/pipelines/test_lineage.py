"""A bundle says which commit, which data and which libraries made it."""

import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.lineage import commit, data_digest, library_versions


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout with one commit and a tag."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text("one\n")
    git("init", "--quiet")
    git("add", "code.py")
    git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "one")
    git("-c", "user.name=T", "-c", "user.email=t@example.org", "tag", "-a", "v1", "--message", "one")
    return tmp_path


def git(*words):
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_whole_whatever_tags_there_are(checkout):
    assert commit() == git("rev-parse", "HEAD")
    assert len(commit()) == 40


def test_changed_files_make_it_dirty_and_new_ones_do_not(checkout):
    (checkout / "notes.txt").touch()
    assert commit() == git("rev-parse", "HEAD")
    (checkout / "code.py").write_text("two\n")
    assert commit() == git("rev-parse", "HEAD") + "-dirty"


def test_other_settings_do_not_make_it_dirty(checkout):
    (checkout / "params.yaml").write_text("seed: 1\n")
    git("add", "params.yaml")
    git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "two")
    (checkout / "params.yaml").write_text("seed: 2\n")
    assert commit() == git("rev-parse", "HEAD")


def test_outside_a_checkout_it_is_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert commit() == "unknown"


def test_the_digest_is_that_of_the_files_own(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"abc")
    b.write_bytes(b"")
    # printf '%s%s' "$(printf abc | sha256sum | cut -c-64)" "$(sha256sum < /dev/null | cut -c-64)" | sha256sum
    assert data_digest([a, b]) == "sha256:17076dc047c0c18dc1ba5e0310336762a1db0b7daa275b1004887c2cca2c25b0"
    assert data_digest([b, a]) != data_digest([a, b])
    assert data_digest(iter([a, b])) == data_digest([a, b])


def test_versions_are_those_that_run():
    found = library_versions()
    assert (found["keras"], found["tensorflow"], found["numpy"]) == (keras.__version__, tf.__version__, np.__version__)
    assert set(found) == {"tensorflow", "keras", "keras-cv", "numpy", "pillow", "pydicom"}
