"""Two bundles are told apart on the same images, or not at all."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from models.comparison import compare_auroc
from models.errors import LabelsError
from models.radiograph import Radiograph
from pipelines.comparing import compare
from tests.pipelines.bundles import stub_bundle, thoracic, write_radiographs

IMAGES = 60


def scores_by(weight):
    """Scores that follow the picture's brightness in part, and its texture for the rest."""

    def answer(batch):
        bright, texture = batch.mean(axis=(1, 2, 3)), 4 * batch[:, ::7, ::5].std(axis=(1, 2, 3))
        scores = np.clip(weight * bright + (1 - weight) * texture, 0.01, 0.99).astype(np.float32)
        return np.stack([scores, 1 - scores], axis=1), np.zeros((len(batch), 8, 8, 2), np.float32)

    return answer


@pytest.fixture
def data(tmp_path, noise):
    """Radiographs of which the brighter rather show a mass; some are not labelled, some are trained on."""
    mass = np.arange(IMAGES) % 3 == 0
    levels = [noise.integers(0, 100 + 60 * of, (64, 64), np.uint8) for of in mass]
    levels = [np.clip(one + noise.integers(0, 80), 0, 255).astype(np.uint8) for one in levels]
    images = [f"{at}.png" for at in range(IMAGES)]
    pictures = {image: Radiograph(one) for image, one in zip(images, levels, strict=True)}
    write_radiographs(tmp_path / "shards", "jsrt", pictures)
    rows = pd.DataFrame({"image": images, "source": "jsrt", "group": images, "split": "test"})
    rows["Mass"], rows["Nodule"], rows["Hernia"] = mass.astype(float), 0.0, np.nan
    rows.loc[:4, "Mass"] = np.nan
    rows.loc[IMAGES - 5 :, "split"] = "train"
    return rows.sample(frac=1, random_state=1, ignore_index=True), tmp_path / "shards", pictures


@pytest.fixture
def bundles(manifest):
    of_masses = thoracic(manifest, "Mass", "Nodule")
    return stub_bundle(of_masses, scores_by(1.0)), stub_bundle(of_masses, scores_by(0.3))


def test_figures_are_those_of_known_test_images_alone(bundles, data):
    rows, shards, pictures = data
    found = compare(*bundles, rows, shards).set_index("finding").loc["Mass"]
    known = rows[(rows["split"] == "test") & rows["Mass"].notna()]
    scores = [[bundle.predict([pictures[image]])[0].scores[0] for image in known["image"]] for bundle in bundles]
    assert found["images"] == len(known) == IMAGES - 10
    assert found["positives"] == known["Mass"].sum()
    assert [found["auroc_a"], found["auroc_b"]] == pytest.approx([roc_auc_score(known["Mass"], of) for of in scores])
    expected = compare_auroc(known["Mass"].to_numpy(), *np.array(scores))
    assert found[list(expected._fields)].tolist() == pytest.approx(list(expected))
    assert found["difference"] == pytest.approx(found["auroc_a"] - found["auroc_b"])
    assert found["low"] < found["difference"] < found["high"]


def test_a_bundle_does_not_differ_from_itself(bundles, data):
    rows, shards, _ = data
    found = compare(bundles[0], bundles[0], rows, shards).set_index("finding").loc["Mass"]
    assert [found[name] for name in ("difference", "low", "high", "p_value")] == [0, 0, 0, 1]


def test_the_other_way_round_the_difference_is_the_other_way_round(bundles, data):
    rows, shards, _ = data
    one, other = (compare(*order, rows, shards).set_index("finding").loc["Mass"] for order in (bundles, bundles[::-1]))
    assert one["difference"] == pytest.approx(-other["difference"])
    assert one["p_value"] == pytest.approx(other["p_value"])


def test_a_finding_without_positives_has_no_figures(bundles, data):
    rows, shards, _ = data
    found = compare(*bundles, rows, shards).set_index("finding").loc["Nodule"]
    assert found["positives"] == 0
    assert found[["auroc_a", "auroc_b", "difference", "low", "high", "p_value"]].isna().all()


def test_only_what_both_answer_is_compared(manifest, bundles, data):
    rows, shards, _ = data
    other = stub_bundle(thoracic(manifest, "Hernia", "Mass"), scores_by(0.5))
    assert compare(bundles[0], other, rows, shards)["finding"].tolist() == ["Mass"]


def test_a_finding_that_no_image_is_labelled_for_has_no_figures(manifest, data):
    rows, shards, _ = data
    of_hernia = stub_bundle(thoracic(manifest, "Mass", "Hernia"), scores_by(0.5))
    found = compare(of_hernia, of_hernia, rows, shards).set_index("finding").loc["Hernia"]
    assert found["images"] == 0
    assert np.isnan(found["auroc_a"])


def test_images_of_a_source_that_does_not_train_one_of_the_heads_do_not_count(manifest, bundles, data):
    rows, shards, _ = data
    elsewhere = thoracic(manifest, "Mass", "Nodule")
    heads = [{"name": "lungs", "findings": ["Mass", "Nodule"], "sources": ["nih_chestxray14"]}]
    training = elsewhere.training.model_copy(update={"parameters": {"heads": heads}})
    other = stub_bundle(elsewhere.model_copy(update={"training": training}), scores_by(0.3))
    for pair in ((bundles[0], other), (other, bundles[0])):
        assert compare(*pair, rows, shards)["images"].tolist() == [0, 0]


def test_bundles_without_a_common_finding_are_refused(manifest, bundles, data):
    rows, shards, _ = data
    other = stub_bundle(thoracic(manifest, "Hernia", "Edema"), scores_by(0.5))
    with pytest.raises(LabelsError, match="bundles of Mass, Nodule and of Hernia, Edema"):
        compare(bundles[0], other, rows, shards)


def test_without_test_images_there_is_nothing_to_compare(bundles, data):
    rows, shards, _ = data
    with pytest.raises(LabelsError, match="expected images in the split test"):
        compare(*bundles, rows.assign(split="train"), shards)
