"""Labels that were turned round are found by the images that speak against them."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.probes import Probe, probe_findings
from pipelines.audit.suspicion import suspicious_labels
from pipelines.facts import TRIVIAL

COUNT = 600
COLUMNS = ["source", "image", "finding", "label", "chance"]


def images_of(labels):
    names = [f"{number}.png" for number in range(len(labels))]
    return pd.DataFrame({"source": "one", "image": names, "Mass": np.asarray(labels, float)})


def probe_of(chances, rows=None):
    rows = np.arange(len(chances)) if rows is None else np.array(rows)
    chances = np.array(chances, float)
    return Probe("one", "Mass", len(rows), 0.5, 0.9, "mean", 0.5, warning=False, chances=chances, rows=rows)


@pytest.fixture
def planted(noise):
    """Two classes that lie apart, 30 of 600 labels turned round: images, embeddings, which ones."""
    truth = noise.integers(0, 2, COUNT)
    turned = noise.choice(COUNT, 30, replace=False)
    labels = truth.copy()
    labels[turned] = 1 - labels[turned]
    embeddings = noise.normal(size=(COUNT, 32)).astype(np.float32)
    embeddings[:, :4] += 3 * truth[:, np.newaxis]
    images = images_of(labels).assign(**dict.fromkeys(TRIVIAL, 0.0), view_position=None)
    return images, embeddings, {f"{place}.png" for place in turned}


def test_labels_that_were_turned_round_are_found(planted):
    images, embeddings, turned = planted
    groups = images["image"]
    found = suspicious_labels(images, probe_findings(images, embeddings, groups, ["Mass"]))
    right = set(found["image"]) & turned
    figures = f"{len(right)} of 30 found, {len(found) - len(right)} besides"
    assert len(right) >= 25, figures
    assert len(found) - len(right) <= 12, figures
    assert set(found["image"].head(15)) <= turned
    assert found["chance"].is_monotonic_increasing
    assert (found["chance"] < 0.5).all()
    given = images.set_index("image").loc[found["image"], "Mass"]
    assert found["label"].tolist() == given.tolist()


def test_expected_are_the_mean_chances_of_each_class():
    # Absent on average 0.7, present on average 0.6.
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    chances = [0.1, 0.1, 0.35, 0.65, 0.9, 0.9, 0.35, 0.25]
    found = suspicious_labels(images_of(labels), [probe_of(chances)])
    assert list(found.columns) == COLUMNS
    assert found["image"].tolist() == ["7.png", "3.png"]
    assert found["label"].tolist() == [1, 0]
    assert found["chance"].tolist() == pytest.approx([0.25, 0.35])


def test_what_is_likelier_than_not_is_never_suspicious():
    found = suspicious_labels(images_of([0, 0, 1, 1]), [probe_of([0.45, 0.4, 0.46, 0.3])])
    assert found["image"].tolist() == ["3.png"]


def test_only_the_images_of_the_probe_are_judged_each_in_its_place():
    images = images_of([np.nan, 1, 0, np.nan, 0, 1])
    found = suspicious_labels(images, [probe_of([0.9, 0.95, 0.05, 0.8], rows=[1, 2, 4, 5])])
    assert found[["image", "label"]].to_numpy().tolist() == [["2.png", 0]]


@pytest.mark.parametrize("probes", [[], [probe_of([0.1, 0.9])]])
def test_where_nothing_is_suspicious_the_table_is_empty(probes):
    found = suspicious_labels(images_of([0, 1]), probes)
    assert list(found.columns) == COLUMNS
    assert len(found) == 0
