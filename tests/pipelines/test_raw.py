"""A source's folder: files and archives alike, found by patterns and read without unpacking."""

import os
import pickle
import zipfile

import pytest

from models.errors import DataError
from pipelines.raw import RawFiles


def write(path, data=b"data"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def pack(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.fixture
def folder(tmp_path):
    """Two plain files, an archive beside them and another in a folder."""
    write(tmp_path / "table.csv", b"plain")
    write(tmp_path / "images/b.PNG", b"b")
    pack(tmp_path / "part1.zip", {"images/": "", "images/a.png": "a", "images/._a.png": "mark"})
    pack(tmp_path / "nested/part2.ZIP", {"deep/d.png": "d"})
    return tmp_path


def test_archives_stand_where_they_are_as_if_unpacked(folder):
    assert RawFiles(folder).paths == [
        "images/._a.png", "images/a.png", "images/b.PNG", "nested/deep/d.png", "table.csv"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "data"), [("table.csv", b"plain"), ("images/a.png", b"a"), ("nested/deep/d.png", b"d")]
)
def test_a_file_is_read_wherever_it_is(folder, path, data):
    raw = RawFiles(folder)
    assert path in raw
    assert raw.read(path) == data


def test_a_file_that_is_not_there_is_not_read(folder):
    raw = RawFiles(folder)
    assert "part1.zip" not in raw
    with pytest.raises(FileNotFoundError):
        raw.read("images/e.png")


def test_an_empty_or_missing_folder_holds_nothing(tmp_path):
    assert RawFiles(tmp_path).paths == []
    assert RawFiles(tmp_path / "missing").paths == []


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["images/*.png"], ["images/._a.png", "images/a.png", "images/b.PNG"]),
        (["*.csv", "NESTED/*"], ["nested/deep/d.png", "table.csv"]),
        (["images/?.png"], ["images/a.png", "images/b.PNG"]),
        (["*", "!*.csv", "!*/._*"], ["images/a.png", "images/b.PNG", "nested/deep/d.png"]),
        (["!*.CSV", "*.csv"], []),
        (["!*.csv"], []),
        ([], []),
    ],
)
def test_patterns_find_files_and_those_after_an_exclamation_mark_leave_them_out(folder, patterns, found):
    assert RawFiles(folder).matching(patterns) == found


def test_the_state_of_a_plain_file_changes_with_its_content(folder):
    before = RawFiles(folder).state("table.csv")
    assert RawFiles(folder).state("table.csv") == before
    write(folder / "table.csv", b"other")
    os.utime(folder / "table.csv", ns=(1, 1))
    assert RawFiles(folder).state("table.csv") == "5-1"
    assert before != "5-1"


def test_the_state_of_a_member_is_that_of_its_content_alone(folder):
    before = RawFiles(folder).state("images/a.png")
    assert before == "1-e8b7be43"
    pack(folder / "part1.zip", {"images/a.png": "a"})
    assert RawFiles(folder).state("images/a.png") == before
    pack(folder / "part1.zip", {"images/a.png": "b"})
    assert RawFiles(folder).state("images/a.png") != before


def test_an_archive_that_is_none_is_refused_by_name(folder):
    write(folder / "part3.zip", b"PK\3\4 cut short")
    with pytest.raises(DataError, match=r"part3\.zip is no zip archive that can be read .* Fetch the source again\."):
        RawFiles(folder).paths  # noqa: B018


def test_a_torn_member_is_found_when_it_is_read(folder):
    archive = folder / "part1.zip"
    archive.write_bytes(archive.read_bytes().replace(b"mark", b"torn"))
    raw = RawFiles(folder)
    assert raw.read("images/a.png") == b"a"
    with pytest.raises(OSError, match="torn inside its archive"):
        raw.read("images/._a.png")


def test_another_process_opens_the_archives_anew(folder):
    raw = RawFiles(folder)
    assert raw.read("images/a.png") == b"a"
    received = pickle.loads(pickle.dumps(raw))  # noqa: S301
    assert received.paths == raw.paths
    assert received.read("images/a.png") == b"a"
