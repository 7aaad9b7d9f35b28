"""From shards to batches for training, never more than a shuffle buffer in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from models.findings import Task
from models.preprocessing import Preprocessor
from pipelines.shards import read_shards

SHUFFLE_IMAGES = 1024


def grey_dataset(rows: pd.DataFrame, task: Task, shards: Path, preprocessor: Preprocessor, cache: Path) -> Any:
    """A `tf.data` set of (grey (height, width, 1) float32 in [0, 1], labels (findings,) float32), in the shards' order.

    Args:
        rows: of the split table.
        task: gives the order of the labels; NaN is not labelled.
        shards: holds a folder a source.
        preprocessor: of the backbone; its scaling is left to the end, after augmentation.
        cache: a file that the first pass writes and later passes read, instead of decoding again.
    """
    height, width, _ = preprocessor.image_shape
    signature = (
        tf.TensorSpec((height, width, 1), tf.float32),
        tf.TensorSpec((len(task.findings),), tf.float32),
    )

    def examples() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        for source, of_source in rows.groupby("source"):
            values = of_source[list(task.findings)].to_numpy(np.float32)
            labels = dict(zip(of_source["image"], values, strict=True))
            for image, radiograph in read_shards(shards / str(source), labels.keys()):
                yield preprocessor.grey(radiograph)[..., np.newaxis], labels[image]

    dataset = tf.data.Dataset.from_generator(examples, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(rows))).cache(str(cache))


def training_batches(dataset: Any, preprocessor: Preprocessor, augmentation: Any, batch_size: int, seed: int) -> Any:
    """Shuffled, augmented, scaled batches: (n, H, W, C) float32 and labels (n, findings)."""
    shuffled = dataset.shuffle(SHUFFLE_IMAGES, seed=seed, reshuffle_each_iteration=True).batch(batch_size)
    augmented = shuffled.map(
        lambda grey, labels: (augmentation(grey, training=True), labels), num_parallel_calls=tf.data.AUTOTUNE
    )
    return _scaled(augmented, preprocessor)


def plain_batches(dataset: Any, preprocessor: Preprocessor, batch_size: int) -> Any:
    """Scaled batches in the dataset's order."""
    return _scaled(dataset.batch(batch_size), preprocessor)


def _scaled(batches: Any, preprocessor: Preprocessor) -> Any:
    def scale(grey: Any, labels: Any) -> tuple[Any, Any]:
        scaled = grey * preprocessor.scale + preprocessor.offset
        return tf.repeat(scaled, preprocessor.channels, axis=-1), labels

    return batches.map(scale).prefetch(tf.data.AUTOTUNE)
