"""Fits a network to its data: seeded, with curves, from where a killed run stopped."""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.backbones import find_backbone
from models.errors import TrainingError
from models.findings import Task, TaskKind
from models.heads import build_network
from models.losses import masked_cross_entropy
from pipelines.params import Train

_HISTORY = "history.csv"
_BEST = "best.weights.h5"
_BACKUP = "backup"
_FINGERPRINT = "fingerprint"


def fit(settings: Train, task: Task, rows: pd.DataFrame, shards: Path, progress_dir: Path, data: str) -> Any:
    """The trained network (see `models.heads.build_network`) with the weights of the least validation loss.

    Args:
        settings: the train section of params.yaml.
        task: to learn.
        rows: the task's split table; only train and validation are read.
        shards: holds a folder a source.
        progress_dir: gets DVCLive's curves; holds checkpoints until the run is complete.
        data: the digest of rows and shards: a checkpoint of other data, settings or task is not resumed.

    Raises:
        TrainingError: the loss is no number.
    """
    import keras
    import tensorflow as tf

    _forget_other_runs(progress_dir, f"{task.name} {data} {settings.model_dump_json()}")
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(settings.seed)
    network = build_network(find_backbone(settings.backbone), task)
    trained = keras.Model(network.input, network.output["logits"])
    trained.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss=masked_cross_entropy(task.kind),
        metrics=["accuracy"] if task.kind is TaskKind.MULTICLASS else [],
        jit_compile=False,
    )
    if _epochs_done(progress_dir) < settings.epochs:
        with tempfile.TemporaryDirectory() as cache:
            training, validation = _batches(settings, task, rows, shards, Path(cache))
            trained.fit(
                training,
                validation_data=validation,
                epochs=settings.epochs,
                callbacks=_callbacks(progress_dir),
                shuffle=False,  # the batches are shuffled already, and Keras warns otherwise
                verbose=1 if sys.stderr.isatty() else 2,
            )
    losses = pd.read_csv(progress_dir / _HISTORY)[["loss", "val_loss"]]
    if not np.isfinite(losses.to_numpy()).all():
        (progress_dir / _FINGERPRINT).unlink()
        raise TrainingError(reason="The loss is not a number. Lower train.learning_rate in params.yaml.")
    trained.load_weights(progress_dir / _BEST)
    return network


def leave_only_curves(progress_dir: Path) -> None:
    """Removes what a later run of the same settings would go on from."""
    for left in (_BEST, _FINGERPRINT, _HISTORY):
        (progress_dir / left).unlink()


def _epochs_done(progress_dir: Path) -> int:
    history = progress_dir / _HISTORY
    # Not the number of rows: an epoch that was killed before its checkpoint is logged again.
    return int(pd.read_csv(history)["epoch"].max()) + 1 if history.exists() else 0


def _forget_other_runs(progress_dir: Path, run: str) -> None:
    """Empties the folder unless it holds what this very run left when it was killed."""
    fingerprint = hashlib.sha256(run.encode()).hexdigest()
    mark = progress_dir / _FINGERPRINT
    if not mark.exists() or mark.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(progress_dir, ignore_errors=True)
        progress_dir.mkdir(parents=True)
        mark.write_text(fingerprint, encoding="utf-8")


def _batches(settings: Train, task: Task, rows: pd.DataFrame, shards: Path, cache: Path) -> tuple[Any, Any]:
    from pipelines.augmentation import augmentation
    from pipelines.dataset import grey_dataset, plain_batches, training_batches

    preprocessor = find_backbone(settings.backbone).preprocessing
    training, validation = (
        grey_dataset(rows[rows["split"] == part], task, shards, preprocessor, cache / part)
        for part in ("train", "validation")
    )
    return (
        training_batches(training, preprocessor, augmentation(settings), settings.batch_size, settings.seed),
        plain_batches(validation, preprocessor, settings.batch_size),
    )


def _callbacks(progress_dir: Path) -> list[Any]:
    import keras
    from dvclive import Live
    from dvclive.keras import DVCLiveCallback

    history, backup = progress_dir / _HISTORY, progress_dir / _BACKUP
    if not (backup / "training_metadata.json").exists():  # killed while the first checkpoint was written
        shutil.rmtree(backup, ignore_errors=True)
    best_so_far = pd.read_csv(history)["val_loss"].min() if history.exists() else None
    live = Live(str(progress_dir), resume=history.exists(), report=None, save_dvc_exp=False, dvcyaml=None)
    return [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ModelCheckpoint(
            str(progress_dir / _BEST), save_best_only=True, save_weights_only=True, initial_value_threshold=best_so_far
        ),
        keras.callbacks.CSVLogger(str(history), append=True),
        # DVCLive counts its steps itself, and after a kill in the second epoch it counts the first twice.
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(live, "step", epoch)),
        DVCLiveCallback(live=live),
        keras.callbacks.BackupAndRestore(str(backup), double_checkpoint=True),
    ]
