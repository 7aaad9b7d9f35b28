"""The training loop on a tiny network: what learns when, what is kept, and how it goes on or stops."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from models.backbones import BACKBONES
from models.errors import LabelsError, TrainingError
from models.findings import find_task
from models.heads import BACKBONE
from pipelines import fitting
from pipelines.checkpoints import Checkpoints
from pipelines.dataset import epoch_order
from pipelines.fitting import SCORE, Job, fit
from pipelines.labels import heads_of
from pipelines.optimizing import compile_learner
from pipelines.workers import alone


@pytest.fixture(scope="module")
def rows(cohort):
    return pd.read_parquet(cohort / "splits/pneumonia.parquet")


@pytest.fixture
def small(monkeypatch):
    """The baseline at 20 x 20 px, in its place in the table."""
    tiny = BACKBONES["baseline_cnn"]
    tiny = replace(tiny, preprocessing=tiny.preprocessing.model_copy(update={"height_px": 20, "width_px": 20}))
    monkeypatch.setattr("models.backbones.BACKBONES", BACKBONES | {"baseline_cnn": tiny})


@pytest.fixture
def job(params, rows, cohort, small):
    settings = params.model("baseline").model_copy(update={"epochs": 3, "batch_size": 16})
    return Job(settings, heads_of(find_task("pneumonia"), [], rows), fitting.preprocessing_of(settings), rows,
               cohort / "shards", "data")  # fmt: skip


def changed(job, **settings):
    return replace(job, settings=job.settings.model_copy(update=settings))


def curves(folder):
    return pd.read_csv(folder / "curves.tsv", sep="\t")


def test_the_weights_of_the_highest_validation_auroc_are_kept(job, tmp_path, monkeypatch):
    scores, weights = iter([0.6, 0.9, 0.7]), []

    def measured(job, learner, validation):
        weights.append(learner.get_weights())
        return {"validation loss": 1.0, SCORE: next(scores)}

    monkeypatch.setattr(fitting, "measure", measured)
    network = fit(job, Checkpoints(tmp_path, "run"))
    for kept, best in zip(network.learner.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(kept, best)
    assert curves(tmp_path)[SCORE].tolist() == [0.6, 0.9, 0.7]


def test_training_stops_where_validation_no_longer_gains(job, tmp_path, monkeypatch):
    scores = iter([0.6, 0.9, 0.8, 0.7, 0.6, 0.5])
    monkeypatch.setattr(fitting, "measure", lambda *_: {"validation loss": 1.0, SCORE: next(scores)})
    fit(changed(job, epochs=6, patience=2), Checkpoints(tmp_path, "run"))
    assert len(curves(tmp_path)) == 4


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(job, tmp_path):
    first, again, other = (
        fit(changed(job, epochs=1, seed=seed), Checkpoints(tmp_path / name, name)).learner.get_weights()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_run_that_was_stopped_ends_as_one_that_was_not(job, tmp_path):
    job = changed(job, frozen_epochs=1, averaging=0.9)
    whole = fit(job, Checkpoints(tmp_path / "whole", "run")).learner.get_weights()
    stopped = Checkpoints(tmp_path / "stopped", "run")
    calls = []

    def killed(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return one_epoch(*arguments)

    one_epoch, fitting._one_epoch = fitting._one_epoch, killed
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(job, stopped)
    finally:
        fitting._one_epoch = one_epoch
    resumed = fit(job, Checkpoints(tmp_path / "stopped", "run")).learner.get_weights()
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert curves(tmp_path / "stopped")["epoch"].tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(curves(tmp_path / "stopped")["loss"], curves(tmp_path / "whole")["loss"], rtol=1e-5)


def test_only_the_heads_learn_while_the_backbone_is_frozen(job, tmp_path):
    network = fit(changed(job, frozen_epochs=2, epochs=0), Checkpoints(tmp_path, "run"))
    keras.utils.set_random_seed(job.settings.seed)
    fresh = fitting._build(job)
    before, after = (one.learner.get_layer(BACKBONE).get_weights() for one in (fresh, network))
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_layers_before_the_frozen_share_never_learn(job):
    learner = fitting._build(job).learner
    compile_learner(learner, job.heads, changed(job, frozen_share=0.5).settings, frozen=False, steps=4)
    layers = learner.get_layer(BACKBONE).layers
    assert [layer.trainable for layer in layers] == [place >= len(layers) / 2 for place in range(len(layers))]


def test_the_learning_rate_rises_and_then_falls(job):
    learner = fitting._build(job).learner
    settings = changed(job, learning_rate=0.01, warm_up=0.2).settings
    compile_learner(learner, job.heads, settings, frozen=False, steps=100)
    rates = [float(learner.optimizer._learning_rate(step)) for step in (0, 10, 20, 60, 100)]
    assert rates == pytest.approx([0.0, 0.005, 0.01, 0.005, 0.0], abs=1e-6)


def test_averaged_weights_are_what_is_kept_and_what_the_next_epoch_goes_on_from(job, tmp_path):
    plain, averaged = (
        fit(changed(job, epochs=1, averaging=share), Checkpoints(tmp_path / str(share), "run")).learner.get_weights()
        for share in (0.0, 0.99)
    )
    state = Checkpoints(tmp_path / "0.99", "run").state()[1]
    assert not np.allclose(plain[0], averaged[0])
    np.testing.assert_array_equal(state[0], averaged[0])  # it goes on from them, too


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_releases_float32(job, tmp_path, precision):
    network = fit(changed(job, epochs=1, precision=precision), Checkpoints(tmp_path, "run"))
    assert {str(variable.dtype) for variable in network.learner.weights} == {"float32"}
    answer = network.answerer(np.zeros((1, *job.preprocessing.image_shape), np.float32))
    assert answer["scores"].dtype == tf.float32


def test_a_loss_that_is_no_number_names_its_batch_and_keeps_the_best_weights(job, tmp_path):
    kept = Checkpoints(tmp_path, "run")
    fit(changed(job, epochs=1), kept)
    best = kept.best()
    spoilt = fitting.part(job, "train", kept.cache)
    order = epoch_order(len(spoilt.images), job.settings.batch_size, job.settings.seed, 1)
    second = order[1][0]
    targets = spoilt.targets.copy()
    targets[second, :, 1] = np.inf
    validation = fitting.part(job, "validation", kept.cache)
    with pytest.raises(TrainingError, match=r"not a number in batch 2 of \d+, which begins with synthetic/images/P"):
        fitting.learn(changed(job, epochs=2), replace(spoilt, targets=targets), validation, kept, alone())
    assert all(np.array_equal(one, other) for one, other in zip(best, kept.best(), strict=True))


def test_too_little_memory_says_which_setting_to_lower(job, tmp_path, monkeypatch):
    def exhausted(*_arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(fitting, "measure", exhausted)
    with pytest.raises(TrainingError, match=r"batches of 16 images\. Lower batch_size in params\.yaml"):
        fit(job, Checkpoints(tmp_path, "run"))


def test_validation_images_of_one_class_are_refused(job, tmp_path):
    rows = job.rows[(job.rows["split"] != "validation") | (job.rows["Normal"] == 1)]
    rows = pd.concat([rows, rows[rows["Normal"] == 1].head(3).assign(split="validation")])
    with pytest.raises(LabelsError, match="no finding has both a known positive and a known negative"):
        fit(replace(job, rows=rows.drop_duplicates(["image", "split"])), Checkpoints(tmp_path, "run"))


def test_images_that_train_no_head_are_not_read(job, tmp_path):
    rows = job.rows.copy()
    dropped = rows.index[rows["split"] == "train"][:4]
    rows.loc[dropped, list(job.heads[0].findings)] = np.nan
    read = fitting.part(replace(job, rows=rows), "train", tmp_path)
    assert len(read.images) == (rows["split"] == "train").sum() - 4
    assert np.isfinite(read.targets).all()
