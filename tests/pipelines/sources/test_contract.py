"""The contract of every data source; a new one needs `published` in a test module `test_<name>` beside this one."""

import zipfile
from importlib import import_module

import numpy as np
import pytest
from pydantic import BaseModel

from models.errors import UnknownNameError
from models.findings import FINDINGS
from pipelines.raw import RawFiles
from pipelines.sources import SOURCES, find_source
from pipelines.sources.card import load_card
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import ROOT
from tests.pipelines.sources.listing import listed

pytestmark = pytest.mark.parametrize("name", SOURCES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A small raw folder of each source, as published."""
    rng = np.random.default_rng(20260101)
    tests = {name: import_module(f"tests.pipelines.sources.test_{name}") for name in SOURCES}
    return {name: test.published(tmp_path_factory.mktemp(name), rng) for name, test in tests.items()}


@pytest.fixture
def source(name):
    return SOURCES[name]


@pytest.fixture
def folder(folders, name):
    return folders[name]


@pytest.fixture
def rows(source, folder):
    return [row for row in listed(source, folder) if isinstance(row, ImageRow)]


def test_its_key_is_its_name(name, source):
    assert source.name == name
    assert find_source(name) is source


def test_a_name_like_it_is_unknown(name):
    with pytest.raises(UnknownNameError, match=name):
        find_source(f"{name}2")


def test_its_findings_are_in_the_vocabulary(source):
    assert source.findings
    assert len(set(source.findings)) == len(source.findings)
    assert set(source.findings) <= set(FINDINGS)


def test_its_card_says_whose_it_is_and_what_may_be_done_with_it(name):
    def texts(part: BaseModel):
        for value in dict(part).values():
            yield from texts(value) if isinstance(value, BaseModel) else [value] if isinstance(value, str) else []

    found = list(texts(load_card(ROOT / f"data/sources/{name}.yaml")))
    assert len(found) >= 7
    assert all(text.strip() for text in found)


def test_it_is_recognised_by_files_that_an_empty_folder_lacks(source, folder, tmp_path):
    assert source.required
    for pattern in source.required:
        assert RawFiles(folder).matching([pattern]), pattern
        assert not RawFiles(tmp_path).matching([pattern])


def test_every_row_is_an_image_that_is_there_and_can_be_decoded(source, folder, rows):
    raw = RawFiles(folder)
    images = raw.matching(source.images)
    assert rows
    assert {row.image for row in rows} <= set(images)
    for row in rows:
        assert source.decode(raw.read(row.image)).pixels.ndim == 2


def test_what_is_given_up_has_a_code_and_a_reason(source, folder):
    for row in listed(source, folder):
        if isinstance(row, Exclusion):
            assert row.image
            assert row.code.replace("_", "").isalpha()
            assert row.reason


def test_labels_are_of_its_findings_and_never_both_known_and_uncertain(source, rows):
    for row in rows:
        assert set(row.findings) <= set(source.findings)
        assert set(row.findings.values()) <= {0, 1}
        assert set(row.uncertain) <= set(source.findings) - set(row.findings)
    assert any(row.findings for row in rows)


def test_what_it_says_of_patients_and_images_is_of_the_allowed_values(rows):
    for row in rows:
        assert row.patient_id
        assert row.patient_source is None or row.patient_source in SOURCES
        assert row.study_id != ""
        assert row.view_position in {"PA", "AP", None}
        assert row.age_years is None or isinstance(row.age_years, float)
        assert row.sex in {"M", "F", None}
        assert row.split_official in {"train", "validation", "test", None}


def test_boxes_lie_in_the_image_and_masks_are_there(source, folder, rows):
    raw = RawFiles(folder)
    for row in rows:
        for box in row.boxes:
            assert box.finding in source.findings
            assert 0 <= box.left <= box.left + box.width <= 1
            assert 0 <= box.top <= box.top + box.height <= 1
        assert set(row.masks) <= set(source.findings)
        assert all(mask in raw for mask in row.masks.values())


def test_rows_come_in_a_fixed_order(source, folder):
    assert listed(source, folder) == listed(source, folder)


def test_one_archive_of_the_folder_gives_the_same_rows(source, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "published.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    assert listed(source, tmp_path) == listed(source, folder)
