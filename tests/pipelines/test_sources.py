"""The contract of every data source. A new one needs a fixture `raw_<name>` here: a small raw folder as published."""

import shutil

import pytest
import yaml

from models.errors import DataError, RawDataMissingError, UnknownNameError
from models.findings import FINDINGS
from pipelines.sources import SOURCES, find_source
from tests.pipelines.conftest import ROOT, write_picture

KERMANY = (
    "train/NORMAL/IM-0115-0001.jpeg",
    "train/NORMAL/NORMAL2-IM-0383-0001.jpeg",
    "train/PNEUMONIA/person1_bacteria_1.jpeg",
    "train/PNEUMONIA/person1_virus_6.jpeg",
    "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
    "test/PNEUMONIA/person100_bacteria_475.jpeg",
)
pytestmark = pytest.mark.parametrize("name", SOURCES)


@pytest.fixture
def raw_kermany(tmp_path, noise):
    for image in KERMANY:
        write_picture(tmp_path / "kermany/chest_xray" / image, noise)
    return tmp_path / "kermany"


@pytest.fixture
def raw_synthetic(cohort):
    return cohort / "raw/synthetic"


@pytest.fixture
def raw(request, name):
    return request.getfixturevalue(f"raw_{name}")


def test_its_key_is_its_name(name):
    assert SOURCES[name].name == name
    assert find_source(name) is SOURCES[name]


def test_its_findings_are_in_the_vocabulary(name):
    findings = SOURCES[name].findings
    assert findings
    assert len(set(findings)) == len(findings)
    assert set(findings) <= set(FINDINGS)


def test_its_card_says_whose_it_is_and_what_may_be_done_with_it(name):
    card = yaml.safe_load((ROOT / f"data/sources/{name}.yaml").read_text(encoding="utf-8"))
    for key in ("title", "home", "licence", "citation", "terms"):
        assert isinstance(card[key], str), key
        assert card[key].strip(), key


def test_an_empty_folder_is_refused_with_a_remedy(name, tmp_path):
    with pytest.raises(RawDataMissingError) as caught:
        next(SOURCES[name].rows(tmp_path))
    assert caught.value.values["folder"] == tmp_path
    assert str(caught.value.values["remedy"]).startswith("Run: ")


def test_every_row_names_an_image_that_is_there(name, raw):
    rows = list(SOURCES[name].rows(raw))
    assert rows
    for row in rows:
        assert (raw / row.image).is_file()
        assert row.patient_id
        assert row.findings
        assert set(row.findings) <= set(SOURCES[name].findings)
        assert set(row.findings.values()) <= {0, 1}
        assert row.view_position in {"PA", "AP", None}
        assert row.sex in {"M", "F", None}
        assert row.split_official in {"train", "test", None}
    assert len({row.image for row in rows}) == len(rows)


def test_rows_come_in_a_fixed_order(name, raw):
    assert list(SOURCES[name].rows(raw)) == list(SOURCES[name].rows(raw))


def test_fetching_brings_every_file(name, raw, tmp_path):
    SOURCES[name].fetch(str(raw), tmp_path / "fetched")
    wanted = {path.relative_to(raw): path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    fetched = tmp_path / "fetched"
    assert {p.relative_to(fetched): p.read_bytes() for p in fetched.rglob("*") if p.is_file()} == wanted


def test_fetching_replaces_what_was_there(name, raw, tmp_path):
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched/old.png").touch()
    SOURCES[name].fetch(str(raw), tmp_path / "fetched")
    assert not (tmp_path / "fetched/old.png").exists()
    assert list(SOURCES[name].rows(tmp_path / "fetched")) == list(SOURCES[name].rows(raw))


def test_fetching_from_elsewhere_leaves_the_old_folder_alone(name, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/notes.txt").touch()
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched/old.png").write_bytes(b"old")
    for origin in ("elsewhere", "nowhere"):
        with pytest.raises(RawDataMissingError, match="--from"):
            SOURCES[name].fetch(str(tmp_path / origin), tmp_path / "fetched")
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "fetched"}
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == ["old.png"]
    assert (tmp_path / "fetched/old.png").read_bytes() == b"old"


def test_a_copy_that_fails_leaves_the_old_folder_alone(name, raw, tmp_path):
    origin = shutil.copytree(raw, tmp_path / "origin")
    (origin / "torn").symlink_to(tmp_path / "nothing")
    (tmp_path / "data/fetched").mkdir(parents=True)
    (tmp_path / "data/fetched/old.png").touch()
    with pytest.raises(DataError, match="could not be copied"):
        SOURCES[name].fetch(str(origin), tmp_path / "data/fetched")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["fetched"]
    assert [path.name for path in (tmp_path / "data/fetched").iterdir()] == ["old.png"]


def test_a_name_like_it_is_unknown(name):
    with pytest.raises(UnknownNameError, match=name):
        find_source(f"{name}2")
