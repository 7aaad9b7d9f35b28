"""Before the run: every name is known and every publisher's folder is there."""

import hashlib

import pytest

from models.backbones import BACKBONES
from models.errors import RawDataMissingError, UnknownNameError, WeightsError
from models.findings import TASKS
from pipelines.check import check, main
from pipelines.params import load_params
from pipelines.phantom.record import DRAWN_FINDINGS
from pipelines.sources import SOURCES
from tests.pipelines.conftest import write_params


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"sources": ["kermani"]}, f"Unknown source 'kermani'; known are: {', '.join(SOURCES)}."),
        (
            {"tasks": ["pneumonia", "thoracic", "pneumonias"]},
            f"Unknown task 'pneumonias'; known are: {', '.join(TASKS)}.",
        ),
        (
            {"models": {"thoracic": {"backbone": "resnet"}}},
            f"Unknown backbone 'resnet'; known are: {', '.join(BACKBONES)}.",
        ),
        (
            {"draw": {"scanner_finding": "Pneumonja"}},
            f"Unknown drawn finding 'Pneumonja'; known are: {', '.join(DRAWN_FINDINGS)}.",
        ),
    ],
)
def test_a_name_that_no_table_holds_is_refused_with_those_it_holds(tmp_path, sections, said):
    with pytest.raises(UnknownNameError) as caught:
        check(load_params(write_params(tmp_path, **sections)), tmp_path)
    assert str(caught.value) == said


@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_or_empty_raw_folder_is_refused_with_the_remedy(tmp_path, empty):
    if empty:
        (tmp_path / "kermany").mkdir()
    with pytest.raises(RawDataMissingError) as caught:
        check(load_params(write_params(tmp_path, sources=["synthetic", "kermany"])), tmp_path)
    assert caught.value.values["folder"] == tmp_path / "kermany"
    assert caught.value.values["remedy"] == (
        "Run: thorax data fetch kermany --from FOLDER, or take kermany out of sources in params.yaml."
    )


def test_a_source_that_is_drawn_needs_no_files(tmp_path, monkeypatch):
    write_params(tmp_path, sources=["synthetic"])
    monkeypatch.chdir(tmp_path)
    main("raw", "data/checked.txt", "data/to_draw.txt", "data/beginnings")
    first = (tmp_path / "data/checked.txt").read_bytes()
    main("raw", "data/checked.txt", "data/to_draw.txt", "data/beginnings")
    assert (tmp_path / "data/to_draw.txt").read_text() == "synthetic\n"
    assert (tmp_path / "data/checked.txt").read_bytes() == first  # or every stage behind it would run again


def test_another_source_to_fetch_is_no_reason_to_draw_or_to_run_again(tmp_path, monkeypatch):
    (tmp_path / "raw/kermany/chest_xray").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    written = []
    for sources in (["synthetic"], ["kermany", "synthetic"]):
        write_params(tmp_path, sources=sources)
        main("raw", "data/checked.txt", "data/to_draw.txt", "data/beginnings")
        written.append([(tmp_path / f"data/{name}.txt").read_bytes() for name in ("checked", "to_draw")])
    assert written[0] == written[1]


def test_files_that_are_there_are_enough(tmp_path, monkeypatch):
    write_params(tmp_path, sources=["kermany"])
    (tmp_path / "raw/kermany/chest_xray").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    main("raw", "checked.txt", "to_draw.txt", "beginnings")
    assert (tmp_path / "checked.txt").exists()
    assert (tmp_path / "to_draw.txt").read_text() == ""


def test_what_a_model_begins_with_is_known_by_name_or_by_its_content(tmp_path, monkeypatch):
    content = b"weights"
    (tmp_path / "chest.weights.h5").write_bytes(content)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/bundle.json").write_bytes(content)
    models = {"baseline": {"weights": "chest.weights.h5"}, "thoracic": {"weights": "bundle"}}
    write_params(tmp_path, models=models)
    monkeypatch.chdir(tmp_path)
    main("raw", "checked.txt", "to_draw.txt", "beginnings")
    digest = hashlib.sha256(content).hexdigest()
    written = {path.stem: path.read_text().strip() for path in (tmp_path / "beginnings").iterdir()}
    assert written == {"baseline": digest, "pneumonia": "imagenet", "thoracic": digest}


def test_weights_that_are_not_there_stop_the_run(tmp_path, monkeypatch):
    write_params(tmp_path, models={"thoracic": {"weights": "data/released/lungs"}})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"data/released/lungs.*cannot be read.*Mend weights in params\.yaml"):
        main("raw", "checked.txt", "to_draw.txt", "beginnings")
