"""Two processes of a Ray cluster learn what one learns; they stop, go on and complain as one does."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models import backbones
from models.errors import TrainingError
from models.findings import find_task
from pipelines import fitting
from pipelines.checkpoints import Checkpoints
from pipelines.fitting import SCORE, Job, fit
from pipelines.labels import heads_of
from pipelines.params import Augment
from pipelines.workers import Team

pytestmark = pytest.mark.usefixtures("ray_cluster")

EPOCHS = 3
STILL = backbones.BACKBONES | {"baseline_cnn": replace(backbones.BACKBONES["baseline_cnn"], embedding_dropout=0.0)}
"""With a baseline without dropout, so that nothing is drawn."""


@dataclass(frozen=True)
class Runs:
    """One process's run, and one of two that were stopped before the last epoch and then went on."""

    alone: Path
    together: Path
    stopped: str
    stopped_at: int
    weights: list


@pytest.fixture(scope="module")
def job(params, cohort):
    rows = pd.read_parquet(cohort / "splits/pneumonia.parquet")
    rows = rows.drop(rows.index[rows["split"] == "train"][32:])  # two batches, of two equal shares
    changes = {"frozen_epochs": 1, "epochs": EPOCHS - 1, "batch_size": 16, "averaging": 0.9, "augment": Augment()}
    settings = params.model("baseline").model_copy(update=changes)
    preprocessing = fitting.preprocessing_of(settings).model_copy(update={"height_px": 20, "width_px": 20})
    return Job(settings, heads_of(find_task("pneumonia"), [], rows), preprocessing, rows, cohort / "shards", "data")


def changed(job, **settings):
    return replace(job, settings=job.settings.model_copy(update=settings))


def curves(folder):
    return pd.read_csv(folder / "curves.tsv", sep="\t")


def work_still(spoilt, job, kept, team):
    """What a process does, but without dropout; it notes its weights, and its labels count infinitely in one epoch."""
    one_epoch, work = fitting._one_epoch, fitting.work

    def noted(job, learner, training, epoch, team):
        if epoch == spoilt:
            training = replace(training, targets=np.full_like(training.targets, np.inf))
        loss = one_epoch(job, learner, training, epoch, team)
        np.savez(kept.cache / f"{team.rank}.npz", *learner.get_weights())
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "BACKBONES", STILL)
        patch.setattr(fitting, "_one_epoch", noted)
        work(job, kept, team)


@pytest.fixture(scope="module")
def runs(job, tmp_path_factory):
    one, two = (tmp_path_factory.mktemp("training") / name for name in ("alone", "together"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "BACKBONES", STILL)
        fit(job, Checkpoints(one, "run"))
        kept, of_two = Checkpoints(two, "run"), changed(job, workers=2)
        patch.setattr(fitting, "work", partial(work_still, EPOCHS - 1))
        with pytest.raises(TrainingError) as stopped:
            fit(of_two, kept)
        stopped_at = len(curves(two))
        patch.setattr(fitting, "work", partial(work_still, None))
        fit(of_two, kept)
    with np.load(kept.cache / "0.npz") as first, np.load(kept.cache / "1.npz") as second:
        weights = [(first[name], second[name]) for name in first.files]
    return Runs(one, two, str(stopped.value), stopped_at, weights)


def test_two_processes_learn_what_one_learns(runs):
    one, two = curves(runs.alone), curves(runs.together)
    # Nothing is drawn and all shares are of one size: only the order of sums differs.
    np.testing.assert_allclose(two[["loss", "validation loss"]], one[["loss", "validation loss"]], rtol=1e-5)
    np.testing.assert_allclose(two[SCORE], one[SCORE], atol=0.01)


def test_a_run_of_two_goes_on_after_it_was_stopped(runs):
    assert runs.stopped_at == EPOCHS - 1
    assert curves(runs.together)["epoch"].tolist() == list(range(EPOCHS))


def test_both_processes_hold_the_same_weights(runs):
    assert all(np.array_equal(one, other) for one, other in runs.weights)


def test_a_loss_that_is_no_number_names_its_batch(runs):
    assert runs.stopped.startswith("The loss is not a number in batch 1 of 2, which begins with synthetic/images/P")


def test_more_workers_than_the_cluster_has_room_for_are_refused(job, tmp_path):
    with pytest.raises(TrainingError, match=r"a CPU for each of 3 workers, but it has 2\. Lower workers in params"):
        fit(changed(job, workers=3), Checkpoints(tmp_path, "run"))


def test_each_takes_its_share_of_a_batch_and_none_of_one_too_small():
    order = [np.array([4, 2, 7, 1, 5]), np.array([3])]
    shares = [[batch.tolist() for batch in Team(rank, 2, None).share(order)] for rank in (0, 1)]
    assert shares == [[[4, 7, 5]], [[2, 1]]]
