import numpy as np
import pandas as pd
import pytest

from pipelines.checkpoints import Checkpoints

CURVES = [{"epoch": 0, "loss": 0.5}, {"epoch": 1, "loss": 0.25}]
ARRAYS = [np.arange(3, dtype=np.float32), np.array(7, np.int64)]


def test_a_run_that_has_done_nothing_has_no_state(tmp_path):
    assert Checkpoints(tmp_path / "run", "a").state() == ([], [])


def test_the_same_run_finds_what_it_left(tmp_path):
    left = Checkpoints(tmp_path / "run", "a")
    left.save_state(CURVES, ARRAYS)
    left.save_best(ARRAYS[:1])
    found = Checkpoints(tmp_path / "run", "a")
    curves, state = found.state()
    assert curves == CURVES
    assert [array.tolist() for array in state] == [[0, 1, 2], 7]
    assert [array.dtype for array in state] == [np.float32, np.int64]
    assert found.best()[0].tolist() == [0, 1, 2]


def test_another_run_begins_anew(tmp_path):
    Checkpoints(tmp_path / "run", "a").save_state(CURVES, ARRAYS)
    assert Checkpoints(tmp_path / "run", "b").state() == ([], [])


def test_more_than_ten_arrays_keep_their_order(tmp_path):
    kept = Checkpoints(tmp_path / "run", "a")
    kept.save_best([np.array(place) for place in range(12)])
    assert [int(array) for array in kept.best()] == list(range(12))


def test_a_file_that_was_being_written_does_not_replace_the_last_good_one(tmp_path):
    kept = Checkpoints(tmp_path / "run", "a")
    kept.save_best(ARRAYS)
    with pytest.raises(TypeError):
        kept.save_best([_Unwritable()])
    assert len(kept.best()) == 2


class _Unwritable:
    def __array__(self, *_args, **_kwargs):
        raise TypeError("no array")


def test_only_curves_are_left_in_the_end(tmp_path):
    kept = Checkpoints(tmp_path / "run", "a")
    kept.save_state(CURVES, ARRAYS)
    kept.save_best(ARRAYS)
    (kept.cache / "train.npy").write_bytes(b"pixels")
    kept.leave_only_curves()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["curves.tsv"]
    assert pd.read_csv(tmp_path / "run/curves.tsv", sep="\t").to_dict("records") == CURVES
