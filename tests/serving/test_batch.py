"""`thorax batch`: a row a file from wherever the files are, the same scores, and nothing lost or done twice."""

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from serving.batch.inputs import TarStream, find_input
from serving.batch.model import pack
from serving.batch.scorer import Scorer, Work
from serving.schemas import ModelName
from serving.settings import Settings
from tests.remotes import put, write

FINDINGS = ["Normal", "Bacterial Pneumonia", "Viral Pneumonia"]
SOON_SECONDS = 300


@pytest.fixture(scope="module", autouse=True)
def cluster(store):
    """One Ray for all; it starts after S3, whose address its workers inherit."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(20260101)
    data = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (1024, 1024), np.uint8)).save(data, "JPEG")
    return data.getvalue()


@pytest.fixture(scope="module")
def files(chest_dicom, chest_jpeg2000, picture):
    """Two real radiographs without a file extension, as in a PACS, and a picture; the rest is none."""
    return {
        "DICOM/ST1/IM0": chest_dicom.read_bytes(),
        "DICOM/ST1/IM1": chest_jpeg2000.read_bytes(),
        "noise.jpg": picture,
        "empty.png": b"",
        "notes.txt": b"not a radiograph",
        "torn.dcm": chest_dicom.read_bytes()[:5000],
        "DICOMDIR": b"left out",
        ".DS_Store": b"left out",
    }


@pytest.fixture(scope="module")
def folder(files, tmp_path_factory):
    return write(tmp_path_factory.mktemp("hospital"), **files)


@pytest.fixture
def batch(thorax, bundle_folder, tmp_path):
    """`thorax batch` into a folder `scores`, with the small bundle unless told otherwise."""

    def run(source, output="scores", model=bundle_folder, **settings):
        return thorax("batch", source, tmp_path / output, "--model", model, **settings)

    return run


def table(tmp_path, output="scores"):
    return pd.read_parquet(tmp_path / output).set_index("file").sort_index()


def predicted(thorax, folder, names, *words):
    lines = thorax("predict", *(folder / name for name in names), "--json", *words).out.splitlines()
    return dict(zip(names, map(json.loads, lines), strict=True))


def assert_same_scores(rows, answers):
    for file, answer in answers.items():
        for one in answer["findings"]:
            name = one["finding"]
            assert rows.loc[file, f"{name} score"] == pytest.approx(one["score"], abs=1e-6)
            assert rows.loc[file, f"{name} probability"] == pytest.approx(one["probability"], abs=1e-6)
            assert rows.loc[file, f"{name} present"] == one["present"]
            assert rows.loc[file, f"{name} uncertain"] == one["uncertain"]
        assert rows.loc[file, "chest_radiograph"] == answer["gates"]["chest_radiograph"]
        assert rows.loc[file, "age_group"] == answer["gates"]["age_group"]
        assert rows.loc[file, "abstain"] == answer["decision"]["abstain"]
        assert list(rows.loc[file, "reasons"]) == answer["decision"]["reasons"]
        assert rows.loc[file, "digest"] == answer["model"]["digest"]


def test_a_folder_gives_a_row_a_file_with_the_scores_and_the_problems_of_predict(
    batch, thorax, folder, files, bundle_folder, tmp_path
):
    done = batch(folder)
    assert (done.code, done.err) == (1, "")  # no progress bar where there is no terminal
    assert "6 files (0 from before): 3 answered, 3 refused (" in done.out
    assert "malformed_file 2" in done.out and "unknown_format 1" in done.out
    assert done.out.endswith("hidden and system files left out: 2.\n")
    assert done.out.count("\n") == 1
    rows = table(tmp_path)
    assert list(rows.index) == sorted(set(files) - {"DICOMDIR", ".DS_Store"})
    answered, failed = rows[rows["code"].isna()], rows[rows["code"].notna()]
    assert_same_scores(rows, predicted(thorax, folder, answered.index, "--model", bundle_folder))
    for file, problem in predicted(thorax, folder, failed.index, "--model", bundle_folder).items():
        assert (failed.loc[file, "code"], failed.loc[file, "detail"]) == (problem["code"], problem["detail"])
    assert failed[["id", "abstain", "Normal score", "Normal present"]].isna().all(axis=None)
    assert answered["id"].is_unique


def test_archives_and_s3_give_the_rows_of_the_folder(batch, bucket, folder, files, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as made:
        made.add(folder, ".")
    put(bucket, **{f"2026/{name}": data for name, data in files.items()}, **{"2026/": b"", "2027/other": b"1"})
    sources = [folder, tmp_path / "x.zip", tmp_path / "x.tar.gz", "s3://hospital/2026"]
    codes = [batch(source, f"scores{number}").code for number, source in enumerate(sources)]
    assert codes == [1] * 4
    wanted, *others = (table(tmp_path, f"scores{number}").drop(columns="id") for number in range(4))
    for rows in others:
        pd.testing.assert_frame_equal(rows, wanted, rtol=0, atol=1e-6)


@pytest.mark.service
def test_rows_are_what_the_service_answers(batch, service, registry_folder, production, folder, files, tmp_path):
    batch(folder, model="pneumonia@production", registry_folder=registry_folder)
    rows = table(tmp_path)
    assert set(rows["version"]) == {production.version}
    posted = {
        file: httpx.post(f"{service.address}/v1/predictions", content=files[file], timeout=60).json()
        for file in rows.index
    }
    assert_same_scores(rows, {file: answer for file, answer in posted.items() if "findings" in answer})
    problems = {file: (said["code"], said["detail"]) for file, said in posted.items() if "code" in said}
    failed = rows[rows["code"].notna()]
    assert {file: (failed.loc[file, "code"], failed.loc[file, "detail"]) for file in failed.index} == problems


def test_a_file_too_large_a_link_and_what_may_not_be_read_are_rows_too(batch, chest_dicom, picture, tmp_path):
    write(tmp_path / "in", **{"large": chest_dicom.read_bytes(), "fine.jpg": picture})
    (tmp_path / "in/gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "in/pipe")
    (tmp_path / os.fsdecode(b"in/\xff.jpg")).write_bytes(picture)
    done = batch(tmp_path / "in", max_upload_bytes=len(picture))
    assert done.code == 1
    rows = table(tmp_path)
    assert dict(rows["code"].fillna("")) == {
        "\\xff.jpg": "",
        "fine.jpg": "",
        "gone": "unreadable_file",
        "large": "too_large",
        "pipe": "unreadable_file",
    }
    with tarfile.open(tmp_path / "x.tar", "w") as made:
        made.add(tmp_path / "in/fine.jpg", "fine.jpg")
        made.add(tmp_path / "in/gone", "gone")
    batch(tmp_path / "x.tar", "archived")
    assert list(table(tmp_path, "archived")["code"].fillna("")) == ["", "unreadable_file"]


def test_parts_have_one_schema_and_what_could_not_be_read_is_tried_again(batch, picture, tmp_path):
    source = write(tmp_path / "in", **{"a.txt": b"text"})
    (source / "b.jpg").symlink_to(tmp_path / "disk.jpg")
    assert batch(source).code == 1
    (tmp_path / "disk.jpg").write_bytes(picture)
    write(source, **{"c.jpg": picture})
    done = batch(source)
    assert "3 files (1 from before): 2 answered, 1 refused (unknown_format 1)" in done.out
    first, second = sorted((tmp_path / "scores").glob("*.parquet"))
    assert pq.read_schema(first) == pq.read_schema(second)
    assert list(table(tmp_path)["code"].fillna("")) == ["unknown_format", "", ""]


def test_a_killed_run_goes_on_where_it_stopped(batch, bundle_folder, picture, tmp_path):
    count = 64 * 6
    first = write(tmp_path / "in", **{"0.jpg": picture}) / "0.jpg"
    for number in range(1, count):
        (tmp_path / f"in/{number}.jpg").hardlink_to(first)
    scores = tmp_path / "scores"
    command = [Path(sys.executable).with_name("thorax"), "batch", tmp_path / "in", scores, "--model", bundle_folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + SOON_SECONDS
        while not list(scores.glob("part-*.parquet")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    before = table(tmp_path)
    assert 0 < len(before) < count
    (scores / ".draft").write_bytes(b"torn")
    done = batch(tmp_path / "in")
    assert (done.code, done.err) == (0, "")
    assert f"{count} files ({len(before)} from before): {count} answered, 0 refused;" in done.out
    after = table(tmp_path)
    assert len(after) == after.index.nunique() == count
    pd.testing.assert_series_equal(after.loc[before.index, "id"], before["id"])
    assert batch(tmp_path / "in").code == 0
    pd.testing.assert_frame_equal(table(tmp_path), after)


def test_another_model_setting_or_input_is_refused(batch, paediatric_folder, tmp_path):
    folder = write(tmp_path / "in", **{"DICOM/notes": b"not a radiograph"})
    batch(folder)
    before = table(tmp_path)
    for what, words in {
        "name pneumonia, now paediatric; digest sha256:": {"model": paediatric_folder},
        "max_pixels 50000000, now 1000": {"max_pixels": 1000},
        "engine openvino, now onnxruntime": {"engine": "onnxruntime"},
    }.items():
        refused = batch(folder, **words)
        assert (refused.code, refused.out) == (2, "")
        assert f"was begun with {what}" in refused.err and "name a new folder" in refused.err
    assert "was begun with input file://" in batch(folder / "DICOM").err
    pd.testing.assert_frame_equal(table(tmp_path), before)


def test_bad_arguments(batch, thorax, folder, chest_dicom, picture, tmp_path):
    for path in ("empty", "hidden", "other"):
        (tmp_path / path).mkdir()
    write(tmp_path, **{"hidden/.a": b"1", "hidden/DICOMDIR": b"1", "other/mine.csv": b"1", "file": b"1"})
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04")
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as made, pytest.warns(UserWarning, match="Duplicate name"):
        made.writestr("a.jpg", picture)
        made.writestr("a.jpg", picture)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as made:
        made.add(chest_dicom, "a")
    (tmp_path / "torn.tar.gz").write_bytes(tar.getvalue()[:-2000])
    refused = {
        "there is nothing": batch(tmp_path / "nowhere"),
        "it holds none; hidden and system files left out: 0": batch(tmp_path / "empty"),
        "it holds none; hidden and system files left out: 2": batch(tmp_path / "hidden"),
        "`thorax predict` scores single ones": batch(chest_dicom),
        "it is another file": batch(tmp_path / "torn.zip"),
        "it holds a.jpg more than once": batch(tmp_path / "twice.zip"),
        "torn.tar.gz Compressed file ended before": batch(tmp_path / "torn.tar.gz"),
        "file is a file": batch(folder, "file"),
        "holds mine.csv, which `thorax batch` did not write": batch(folder, "other"),
        "expected a folder outside": batch(tmp_path, "scores"),
        "expected a folder of this machine": thorax("batch", folder, "s3://hospital/scores"),
    }
    for reason, done in refused.items():
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done
        assert reason in done.err
    assert not (tmp_path / "scores").exists()


def test_two_runs_do_not_write_to_one_output(batch, folder, tmp_path):
    (tmp_path / "scores").mkdir()
    with (tmp_path / "scores/_batch.json").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "another `thorax batch` is writing" in batch(folder).err


def test_few_files_are_under_way_at_once(bundle_folder, bundle, picture):
    import ray

    class Counting:
        def __init__(self):
            self.now, self.most, self.lock = 0, 0, threading.Lock()

        def read(self, _file):
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.01)
            with self.lock:
                self.now -= 1
            return picture

    reader = Counting()
    name = ModelName(name="pneumonia", version="1", digest=bundle.digest)
    scorer = Scorer(Work(name, Settings(), reader), ray.put(pack(bundle_folder)))
    names = [str(number) for number in range(100)]
    rows = scorer(pa.table({"file": names, "size": [1] * 100}))
    assert rows["file"].to_pylist() == names
    assert 1 < reader.most <= 16


def test_a_tar_archive_is_read_as_it_is_asked_for(tmp_path, picture):
    shutil.rmtree(tmp_path / "in", ignore_errors=True)
    source = write(tmp_path / "in", **{f"{number}.jpg": picture for number in range(20)})
    with tarfile.open(tmp_path / "x.tar", "w") as made:
        made.add(source, ".")
    stream = find_input(str(tmp_path / "x.tar")).source
    assert isinstance(stream, TarStream)

    class Watched:
        def open(self, path):
            self.file = Path(path).open("rb")  # noqa: SIM115 -- the stream closes it
            return self.file

    watched = Watched()
    contents = TarStream(watched, stream.path).read_all(frozenset(["3.jpg", "9.jpg"]), 2**20)
    assert next(contents)[2] == picture
    assert watched.file.tell() < (tmp_path / "x.tar").stat().st_size / 2 or len(list(contents)) == 1
