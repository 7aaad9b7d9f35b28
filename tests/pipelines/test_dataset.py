"""What training sees is what serving computes: the same pixels, scaled the same, with the labels of their image."""

import numpy as np
import pandas as pd
import pytest

from models.backbones import find_backbone
from models.findings import find_task
from pipelines.dataset import grey_dataset, plain_batches, training_batches
from pipelines.shards import read_shards

TASK = find_task("pneumonia")


@pytest.fixture(scope="module")
def rows(cohort):
    table = pd.read_parquet(cohort / "splits/pneumonia.parquet")
    return table[table["split"] == "train"]


def batches(dataset):
    inputs, labels = zip(*((grey.numpy(), truth.numpy()) for grey, truth in dataset), strict=True)
    return np.concatenate(inputs), np.concatenate(labels)


@pytest.mark.parametrize("backbone", ["baseline_cnn", "efficientnet_lite0"])
def test_inputs_equal_the_preprocessors_bit_for_bit(cohort, rows, backbone, tmp_path):
    preprocessor = find_backbone(backbone).preprocessing
    dataset = grey_dataset(rows, TASK, cohort / "shards", preprocessor, tmp_path / "cache")
    inputs, labels = batches(plain_batches(dataset, preprocessor, 7))
    expected = list(read_shards(cohort / "shards/synthetic", set(rows["image"])))
    assert len(inputs) == len(expected) == len(rows)
    truth = rows.set_index("image")[list(TASK.findings)]
    for given, label, (image, radiograph) in zip(inputs, labels, expected, strict=True):
        assert given.dtype == np.float32
        assert np.array_equal(given, preprocessor(radiograph))
        assert np.array_equal(label, truth.loc[image].to_numpy(np.float32))


def test_a_second_pass_reads_the_cache(cohort, rows, tmp_path):
    preprocessor = find_backbone("baseline_cnn").preprocessing
    dataset = plain_batches(grey_dataset(rows, TASK, cohort / "shards", preprocessor, tmp_path / "cache"),
                            preprocessor, 16)  # fmt: skip
    first, _ = batches(dataset)
    assert list(tmp_path.glob("cache*"))
    second, _ = batches(dataset)
    assert np.array_equal(first, second)


def test_unknown_labels_stay_nan(cohort, rows, tmp_path):
    some = rows.head(3).copy()
    some.loc[some.index[0], "Normal"] = np.nan
    preprocessor = find_backbone("baseline_cnn").preprocessing
    _, labels = batches(
        plain_batches(grey_dataset(some, TASK, cohort / "shards", preprocessor, tmp_path / "cache"), preprocessor, 3)
    )
    assert np.isnan(labels[:, 0]).sum() == 1
    assert not np.isnan(labels[:, 1:]).any()


def shuffled(cohort, rows, cache, seed):
    """Two passes over shuffled training batches that nothing varies."""
    preprocessor = find_backbone("baseline_cnn").preprocessing
    dataset = grey_dataset(rows, TASK, cohort / "shards", preprocessor, cache)
    training = training_batches(dataset, preprocessor, lambda grey, training: grey, 8, seed)
    return [batches(training)[0] for _ in range(2)]


def test_shuffling_is_seeded_and_differs_between_epochs(cohort, rows, tmp_path):
    first, again, other = (
        shuffled(cohort, rows, tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])
    sums = [np.sort(epoch.sum(axis=(1, 2, 3))) for epoch in (*first, *other)]
    assert all(np.array_equal(one, sums[0]) for one in sums)  # in another order, the same images
