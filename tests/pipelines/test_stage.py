"""What a user can cause ends in one sentence, and progress is for terminals only."""

import pytest

from pipelines.sources import SOURCES
from pipelines.stage import progress, run_stage
from tests.pipelines.conftest import start_stage, write_params


def outcome(folder, module, *words):
    stage = start_stage(folder, module, *words)
    output, complaints = stage.communicate()
    return stage.returncode, output, complaints


def test_an_unknown_source_ends_in_one_line(tmp_path):
    assert outcome(
        tmp_path, "catalog", "kermani", "raw", "card.yaml", "shards", "key", "table.parquet", "left_out.csv"
    ) == (
        1,
        "",
        f"Unknown source 'kermani'; known are: {', '.join(SOURCES)}.\n",
    )


def test_a_missing_folder_ends_in_one_line(tmp_path):
    write_params(tmp_path, sources=["kermany"])
    assert outcome(tmp_path, "check", "data/raw", "checked.txt", "to_draw.txt", "beginnings") == (
        1,
        "",
        "Expected the files of kermany under data/raw/kermany, but found none. "
        "Run: thorax data fetch kermany --from FOLDER, or take kermany out of sources in params.yaml.\n",
    )
    assert not (tmp_path / "checked.txt").exists()


def test_broken_settings_end_in_one_line(tmp_path):
    (tmp_path / "params.yaml").write_text("train: [1, 2\nsplit: {")
    code, output, complaints = outcome(tmp_path, "check", "data/raw", "checked.txt", "to_draw.txt", "beginnings")
    assert (code, output) == (1, "")
    assert complaints.startswith("params.yaml: expected YAML, but ")
    assert complaints.count("\n") == 1


def test_a_stage_gets_the_command_lines_words(monkeypatch):
    received = []
    monkeypatch.setattr("sys.argv", ["stage", "one", "two"])
    run_stage(lambda *words: received.extend(words))
    assert received == ["one", "two"]


def test_errors_that_are_no_ones_fault_but_ours_keep_their_traceback(monkeypatch):
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr("sys.argv", ["stage"])
    with pytest.raises(ZeroDivisionError):
        run_stage(broken)


def test_progress_gives_every_item_and_is_silent_off_a_terminal(capsys):
    assert list(progress(iter("abc"), "counting", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
