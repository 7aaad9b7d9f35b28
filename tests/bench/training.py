"""How fast training is fed: its step with the batches of `pipelines.dataset`, beside one with batches in memory."""

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from models.backbones import find_backbone
from models.findings import Head, TaskKind, find_task
from models.heads import build_network
from models.losses import loss_of
from pipelines.augmentation import augmentation
from pipelines.dataset import batches, epoch_order
from pipelines.params import load_params

IMAGES, ROUNDS = 512, 3


def fed_rate(model: str) -> float:
    """Images a second while batches are read, varied and scaled, as a share of the rate while they lie in memory.

    Args:
        model: of params.yaml, with its settings.
    """
    import tensorflow as tf

    settings = load_params().model(model)
    backbone, task = find_backbone(settings.backbone), find_task(settings.task)
    findings = task.findings if task.kind is TaskKind.MULTICLASS else task.findings[:6]
    heads = (Head(name=task.name, kind=task.kind, findings=findings),)
    tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    learner = build_network(backbone, heads, backbone.preprocessing).learner
    learner.compile(optimizer="adam", loss=loss_of(heads, settings.loss, 0.0), jit_compile=False)
    rng = np.random.default_rng(1)
    height, width, _ = backbone.preprocessing.image_shape
    targets = np.stack(
        [np.eye(len(findings))[rng.integers(len(findings), size=IMAGES)], np.ones((IMAGES, len(findings)))], -1
    )
    with tempfile.TemporaryDirectory() as folder:
        pictures = np.lib.format.open_memmap(Path(folder) / "pictures.npy", "w+", np.float16, (IMAGES, height, width))
        pictures[:] = rng.random(pictures.shape, np.float32)
        varied = augmentation(settings.augment, 1)
        order = epoch_order(IMAGES, settings.batch_size, 1, 0)
        fed = batches(pictures, targets.astype(np.float32), order, backbone.preprocessing, varied)
        in_memory = fed.take(2).cache().repeat(len(order) // 2)
        _seconds(learner, in_memory)  # builds the graph and fills the cache
        times = [(_seconds(learner, in_memory), _seconds(learner, fed)) for _ in range(ROUNDS)]
    return median(one for one, _ in times) / median(other for _, other in times)


def _seconds(learner: Any, dataset: Any) -> float:
    started = perf_counter()
    learner.fit(dataset, verbose=0)
    return perf_counter() - started
