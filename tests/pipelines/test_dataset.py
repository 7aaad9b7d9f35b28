"""What training sees is what serving computes: the same pixels, scaled the same, with the targets of their image."""

import numpy as np
import pandas as pd
import pytest

from models.backbones import find_backbone
from models.errors import DataError
from pipelines.dataset import batches, decoded, epoch_order
from pipelines.shards import read_shards

PREPROCESSORS = [
    find_backbone("efficientnet_lite0").preprocessing,
    find_backbone("baseline_cnn").preprocessing.model_copy(update={"crop_borders": True, "tone": "equalised"}),
]


@pytest.fixture(scope="module")
def rows(cohort):
    table = pd.read_parquet(cohort / "splits/pneumonia.parquet")
    return table[table["split"] == "train"]


def targets_of(images):
    """Targets that name their image: its place as the label, one more as the weight."""
    places = np.arange(images, dtype=np.float32)
    return np.stack([places, places + 1], axis=-1)[:, np.newaxis, :]


@pytest.mark.parametrize("preprocessor", PREPROCESSORS)
def test_inputs_equal_the_preprocessors_within_the_steps_of_a_half(cohort, rows, preprocessor, tmp_path):
    pictures = decoded(rows, cohort / "shards", preprocessor, tmp_path / "train.npy")
    order = [np.array([2, 0]), np.array([1])]
    given = [(inputs.numpy(), wanted.numpy()) for inputs, wanted in
             batches(pictures, targets_of(len(rows)), order, preprocessor)]  # fmt: skip
    assert [len(inputs) for inputs, _ in given] == [2, 1]
    names = rows["image"].tolist()
    radiographs = dict(read_shards(cohort / "shards/synthetic", set(names[:3])))
    seen = zip(np.concatenate([one for one, _ in given]), np.concatenate([one for _, one in given]), strict=True)
    for (inputs, wanted), place in zip(seen, (2, 0, 1), strict=True):
        assert inputs.dtype == np.float32
        np.testing.assert_allclose(
            inputs, preprocessor(radiographs[names[place]]), atol=2**-11 * preprocessor.scale, rtol=0
        )
        assert wanted.tolist() == [[place, place + 1]]


def test_images_are_decoded_once(cohort, rows, tmp_path):
    file = tmp_path / "train.npy"
    first = decoded(rows, cohort / "shards", PREPROCESSORS[0], file)
    again = decoded(rows, tmp_path / "no shards here", PREPROCESSORS[0], file)
    assert np.array_equal(first, again)


def test_an_image_that_is_in_no_shard_is_named_and_nothing_is_kept(cohort, rows, tmp_path):
    with_another = pd.concat([rows, rows.iloc[:1].assign(image="images/lost.png")])
    with pytest.raises(DataError, match=r"1 of \d+ images are in no shard, such as synthetic: images/lost\.png"):
        decoded(with_another, cohort / "shards", PREPROCESSORS[0], tmp_path / "train.npy")
    assert not (tmp_path / "train.npy").exists()


def test_every_image_is_seen_once_an_epoch_in_an_order_of_its_own():
    first, again, later, other = (
        np.concatenate(epoch_order(100, 8, seed, epoch)) for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    )
    assert sorted(first) == list(range(100))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first, other)
    assert [len(batch) for batch in epoch_order(100, 32, 1, 0)] == [32, 32, 32, 4]


def test_images_far_apart_meet_in_a_batch():
    # Shuffled as a whole, not within a window: sources stand one behind the other in the table.
    spans = [np.ptp(batch) for batch in epoch_order(10_000, 32, 1, 0)]
    assert np.median(spans) > 9_000


def test_augmentation_comes_before_scaling(cohort, rows, tmp_path):
    preprocessor = PREPROCESSORS[0]
    pictures = decoded(rows.head(2), cohort / "shards", preprocessor, tmp_path / "two.npy")
    asked = batches(pictures, targets_of(2), [np.array([0, 1])], preprocessor, lambda grey, wanted: (grey * 0, wanted))
    ((inputs, _),) = asked
    assert set(np.unique(inputs)) == {np.float32(preprocessor.offset)}
