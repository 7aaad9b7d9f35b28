"""From shards to batches for training: each image decoded and resized once, then read from a file as it is needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import DataError
from models.preprocessing import Preprocessor
from pipelines.shards import read_shards
from pipelines.stage import progress

Pictures = NDArray[np.float16]
Augmentation = Callable[[Any, Any], tuple[Any, Any]]


def decoded(rows: pd.DataFrame, shards: Path, preprocessor: Preprocessor, file: Path) -> Pictures:
    """The greys of images as the preprocessor gives them, in a file that is mapped into memory, not loaded.

    Halves keep 11 bits of a grey, more than most detectors tell apart.

    Args:
        rows: with the columns source and image.
        shards: holds a folder a source.
        preprocessor: of the model; its scaling is left to the end, after augmentation.
        file: to write, or to be read again if an earlier run has finished it.

    Returns:
        (images, height, width) float16 in [0, 1], in the rows' order.

    Raises:
        DataError: an image of the rows is in no shard.
    """
    height, width, _ = preprocessor.image_shape
    shape = (len(rows), height, width)
    if file.exists():
        return np.lib.format.open_memmap(file, mode="r", dtype=np.float16, shape=shape)
    draft = file.with_suffix(".draft")
    pictures = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float16, shape=shape)
    places = {key: place for place, key in enumerate(zip(rows["source"], rows["image"], strict=True))}
    images = (
        (source, image, radiograph)
        for source, of_source in rows.groupby("source")
        for image, radiograph in read_shards(shards / str(source), set(of_source["image"]))
    )
    for source, image, radiograph in progress(images, "decoding", len(rows)):
        pictures[places.pop((source, image))] = preprocessor.grey(radiograph)
    if places:
        source, image = min(places)
        reason = f"{len(places)} of {len(rows)} images are in no shard, such as {source}: {image}. Run: dvc repro"
        raise DataError(reason=reason)
    pictures.flush()
    draft.rename(file)
    return np.lib.format.open_memmap(file, mode="r")


def epoch_order(images: int, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The batches of an epoch as places of images: all of them, shuffled as seed and number of the epoch say."""
    order = np.random.default_rng([seed, epoch]).permutation(images)
    return np.array_split(order, range(batch_size, images, batch_size))


def batches(
    pictures: Pictures,
    targets: NDArray[np.float32],
    order: list[NDArray[np.int64]],
    preprocessor: Preprocessor,
    augmentation: Augmentation | None = None,
) -> Any:
    """A `tf.data` set of ((n, H, W, C) float32 as the weights want it, targets (n, findings, 2) float32).

    Args:
        pictures: (images, H, W) float16 in [0, 1].
        targets: (images, findings, 2), see `models.losses`.
        order: places of the images of each batch.
        preprocessor: of the model.
        augmentation: of greys (n, H, W, 1) and targets; the last step before scaling.
    """
    import tensorflow as tf

    height, width, channels = preprocessor.image_shape

    def read(places: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return pictures[places].astype(np.float32)[..., np.newaxis], targets[places]

    def load(places: Any) -> tuple[Any, Any]:
        grey, wanted = tf.numpy_function(read, [places], (tf.float32, tf.float32), stateful=False)
        return tf.ensure_shape(grey, (None, height, width, 1)), tf.ensure_shape(wanted, (None, *targets.shape[1:]))

    def scale(grey: Any, wanted: Any) -> tuple[Any, Any]:
        return tf.repeat(grey * preprocessor.scale + preprocessor.offset, channels, axis=-1), wanted

    ragged = tf.data.Dataset.from_generator(lambda: iter(order), output_signature=tf.TensorSpec((None,), tf.int64))
    loaded = ragged.apply(tf.data.experimental.assert_cardinality(len(order))).map(load, tf.data.AUTOTUNE)
    if augmentation is not None:
        loaded = loaded.map(augmentation, tf.data.AUTOTUNE)
    return loaded.map(scale, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
