"""Fits a network to its data: frozen, then finely tuned; seeded, measured after each epoch, resumed after a kill."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.backbones import find_backbone
from models.errors import LabelsError, TrainingError
from models.findings import Head
from models.heads import BACKBONE, build_network
from models.preprocessing import Preprocessor
from models.scoring import auroc
from pipelines.checkpoints import Checkpoints
from pipelines.dataset import batches, decoded, epoch_order
from pipelines.labels import any_of, labels_of, weights_of
from pipelines.optimizing import compile_learner, stop_at_nan
from pipelines.params import Train
from pipelines.workers import Team, alone, together

SCORE = "validation AUROC"


@dataclass(frozen=True, slots=True)
class Job:
    """All that weights follow from.

    Attributes:
        settings: of the model.
        heads: to learn.
        preprocessing: of the input.
        rows: the task's split table.
        shards: holds a folder a source.
        data: the digest of rows and shards.
    """

    settings: Train
    heads: tuple[Head, ...]
    preprocessing: Preprocessor
    rows: pd.DataFrame
    shards: Path
    data: str


@dataclass(frozen=True, slots=True)
class Part:
    """A split, ready to be read.

    Attributes:
        images: names, "source/image".
        pictures: (images, H, W) float16 in [0, 1].
        targets: (images, findings, 2) float32, see `models.losses`.
    """

    images: NDArray[np.str_]
    pictures: NDArray[np.float16]
    targets: NDArray[np.float32]


def preprocessing_of(settings: Train) -> Preprocessor:
    """The backbone's own, with what the settings say of borders and tone."""
    own = find_backbone(settings.backbone).preprocessing
    return own.model_copy(update={"crop_borders": settings.crop_borders, "tone": settings.tone})


def fit(job: Job, kept: Checkpoints) -> Any:
    """The trained `models.heads.Network`, with the weights of the highest validation AUROC.

    Args:
        job: what to learn, from what.
        kept: what a killed run of the same left, to go on from.

    Raises:
        LabelsError: the validation images cannot tell one epoch from another.
        WeightsError: the weights to begin with cannot be read, or are of another network.
        TrainingError: the loss is no number, memory is too small, or the cluster is.
    """
    if job.settings.workers == 1:
        work(job, kept, alone())
    else:
        for split in ("train", "validation"):
            part(job, split, kept.cache)  # decoded here, once, for all workers
        together(job.settings.workers, partial(work, job, kept), kept.cache)
    network = _build(job)
    network.learner.set_weights(kept.best())
    return network


def work(job: Job, kept: Checkpoints, team: Team) -> None:
    """What each process of a team does; the best weights are in `kept` then."""
    import keras
    import tensorflow as tf

    _seed(job.settings)
    training, validation = (part(job, name, kept.cache) for name in ("train", "validation"))
    keras.mixed_precision.set_dtype_policy(job.settings.precision)
    try:
        learn(job, training, validation, kept, team)
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        images = f"batches of {job.settings.batch_size} images"
        raise TrainingError(reason=f"Memory is too small for {images}. Lower batch_size in params.yaml.") from error
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


def part(job: Job, split: str, cache: Path) -> Part:
    """The images of a split that train a head, with their targets."""
    rows = job.rows[job.rows["split"] == split]
    labels = labels_of(job.heads, job.settings.heads, rows)
    known = any_of(~np.isnan(labels))
    rows, labels = rows.loc[known], labels[known]
    balances = job.settings.class_balance, job.settings.source_balance
    weights = weights_of(job.heads, labels, rows["source"].tolist(), *balances)
    targets = np.stack([np.nan_to_num(labels), weights], axis=-1)
    pictures = decoded(rows, job.shards, job.preprocessing, cache / f"{split}.npy")
    return Part((rows["source"] + "/" + rows["image"]).to_numpy(str), pictures, targets)


def learn(job: Job, training: Part, validation: Part, kept: Checkpoints, team: Team) -> None:
    """Goes through the epochs that are still to be done and leaves the best weights in `kept`."""
    from models.backbones.weights import load_weights

    settings = job.settings
    with team.strategy.scope():
        learner = _build(job).learner
    load_weights(settings.backbone, learner.get_layer(BACKBONE), settings.weights, job.preprocessing)
    measured = learner if team.size == 1 else _build(job).learner
    curves, state = kept.state()
    steps = len(team.share(epoch_order(len(training.images), settings.batch_size, settings.seed, 0)))
    for frozen, epochs in ((True, settings.frozen_epochs), (False, settings.epochs)):
        first = 0 if frozen else settings.frozen_epochs
        if len(curves) >= first + epochs or (state and _is_stale(curves, settings)):
            continue
        with team.strategy.scope():
            compile_learner(learner, job.heads, settings, frozen, epochs * steps)
        team.teach(learner)
        if state:
            goes_on = learner.variables + (learner.optimizer.variables if len(curves) > first else [])
            for variable, value in zip(goes_on, state[: len(goes_on)], strict=True):
                variable.assign(value)
        for epoch in range(max(first, len(curves)), first + epochs):
            loss = _one_epoch(job, learner, training, epoch, team)
            figures = team.told(partial(_measured, job, learner, measured, validation, kept, curves))
            curves.append({"epoch": epoch, "loss": loss} | figures)
            if team.rank == 0:
                kept.save_state(curves, _values(learner.variables + learner.optimizer.variables))
            if _is_stale(curves, settings):
                break
        state = _values(learner.variables)


def _values(variables: list[Any]) -> list[NDArray[Any]]:
    return [np.asarray(variable) for variable in variables]


def _build(job: Job) -> Any:
    backbone = find_backbone(job.settings.backbone)
    return build_network(backbone, job.heads, job.preprocessing, job.settings.mirror_mean)


def _seed(settings: Train) -> None:
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    # keras-cv's layers ask for it as soon as they are made, although nothing is drawn from it.
    tf.random.set_global_generator(tf.random.Generator.from_seed(settings.seed))


def _is_stale(curves: list[dict[str, Any]], settings: Train) -> bool:
    scores = [row[SCORE] for row in curves]
    return len(scores) - 1 - int(np.argmax(scores)) >= settings.patience


def _one_epoch(job: Job, learner: Any, training: Part, epoch: int, team: Team) -> float:
    """The epoch's loss; with averaging, Keras leaves the averages in the place of the weights."""
    from pipelines.augmentation import augmentation

    settings = job.settings
    order = epoch_order(len(training.images), settings.batch_size, settings.seed, epoch)
    varied = augmentation(settings.augment, settings.seed + epoch)
    learning = batches(training.pictures, training.targets, team.share(order), job.preprocessing, varied)
    history = learner.fit(
        team.distributed(learning),
        epochs=epoch + 1,
        initial_epoch=epoch,
        callbacks=[stop_at_nan(order, training.images)],
        shuffle=False,  # the batches are shuffled already, and Keras warns otherwise
        verbose=0 if team.rank else 1 if sys.stderr.isatty() else 2,
    )
    return float(history.history["loss"][-1])


def _measured(
    job: Job, learner: Any, measured: Any, validation: Part, kept: Checkpoints, curves: Sequence[dict[str, Any]]
) -> dict[str, float]:
    """The learner's figures; where they are the best so far, its weights are kept."""
    if measured is not learner:
        measured.set_weights(learner.get_weights())
    figures = measure(job, measured, validation)
    if all(figures[SCORE] > row[SCORE] for row in curves):
        kept.save_best(measured.get_weights())
    return figures


def measure(job: Job, learner: Any, validation: Part) -> dict[str, float]:
    """Loss and mean AUROC over the findings that the validation images tell apart.

    Raises:
        LabelsError: no finding has a known positive and a known negative there.
    """
    from models.losses import LABEL, WEIGHT, loss_of

    order = np.array_split(np.arange(len(validation.images)), range(32, len(validation.images), 32))
    asked = batches(validation.pictures, validation.targets, order, job.preprocessing)
    logits = learner.predict(asked, verbose=0)
    loss = loss_of(job.heads, job.settings.loss, 0.0)(validation.targets, logits)
    areas = []
    for column in range(logits.shape[1]):
        known = validation.targets[:, column, WEIGHT] > 0
        labels = validation.targets[known, column, LABEL].round()
        areas.append(auroc(labels, logits[known, column].astype(np.float64), np.ones((1, len(labels))))[0])
    if np.isnan(areas).all():
        reason = "no finding has both a known positive and a known negative among the validation images."
        raise LabelsError(task=job.settings.task, reason=reason)
    return {"validation loss": float(np.mean(loss)), SCORE: float(np.nanmean(areas))}
