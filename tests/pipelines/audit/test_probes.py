"""What trivial features and embeddings know of a finding, asked of groups that the fit has not seen."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.probes import MIN_GROUPS, Probe, probe_findings, probe_source, trivial_features
from pipelines.facts import TRIVIAL

COUNT = 400
FEATURES = 20


def cohort(rng, labels, source="one", **known):
    """Noise for every feature; each image is of its own group."""
    count = len(labels)
    images = pd.DataFrame({name: rng.normal(size=count).astype(np.float32) for name in TRIVIAL})
    images = images.assign(source=source, Mass=np.asarray(labels, float), view_position=None).assign(**known)
    groups = pd.Series([f"{source}-{number}" for number in range(count)])
    return images, rng.normal(size=(count, FEATURES)).astype(np.float32), groups


def probed(images, embeddings, groups) -> Probe:
    (probe,) = probe_findings(images, embeddings, groups, ["Mass"])
    return probe


def test_noise_tells_nothing_of_a_finding(noise):
    probe = probed(*cohort(noise, noise.integers(0, 2, COUNT)))
    assert probe.trivial == pytest.approx(0.5, abs=0.12)
    assert probe.embedding == pytest.approx(0.5, abs=0.12)
    assert probe.feature_auroc == pytest.approx(0.5, abs=0.12)
    assert not probe.warning
    assert (probe.scope, probe.target, probe.images) == ("one", "Mass", COUNT)


@pytest.mark.parametrize("way", [1, -1])
def test_a_finding_that_brightness_follows_is_a_shortcut(noise, way):
    labels = noise.integers(0, 2, COUNT)
    images, embeddings, groups = cohort(noise, labels, mean=way * labels + noise.normal(scale=0.1, size=COUNT))
    probe = probed(images, embeddings, groups)
    assert probe.trivial > 0.97
    assert probe.feature == "mean"
    assert probe.feature_auroc > 0.97
    assert probe.warning


def test_the_view_may_be_the_shortcut(noise):
    labels = noise.integers(0, 2, COUNT)
    probe = probed(*cohort(noise, labels, view_position=np.where(labels == 1, "AP", "PA")))
    assert (probe.feature, probe.feature_auroc, probe.warning) == ("view", 1.0, True)


def test_an_unknown_view_lies_between_both():
    views = pd.Series(["PA", "AP", None], dtype=object)
    images = pd.DataFrame(dict.fromkeys(TRIVIAL, 1.0), index=range(3)).assign(view_position=views)
    assert trivial_features(images)["view"].tolist() == [1.0, 0.0, 0.5]


def test_no_warning_where_the_embedding_knows_much_more(noise):
    labels = noise.integers(0, 2, COUNT)
    images, embeddings, groups = cohort(noise, labels, mean=labels + noise.normal(scale=1.5, size=COUNT))
    embeddings[:, 0] += 6 * labels
    probe = probed(images, embeddings, groups)
    assert probe.embedding > 0.97
    assert 0.55 < probe.trivial < 0.85
    assert not probe.warning


def test_chances_are_of_the_images_that_are_labelled_in_their_order(noise):
    labels = np.where(np.arange(COUNT) % 3 == 0, np.nan, np.arange(COUNT) % 2)
    images, embeddings, groups = cohort(noise, labels)
    embeddings[:, 0] += 6 * np.nan_to_num(labels)
    probe = probed(images, embeddings, groups)
    assert probe.rows.tolist() == np.flatnonzero(np.arange(COUNT) % 3).tolist()
    assert probe.images == len(probe.chances) == len(probe.rows)
    assert ((probe.chances > 0.5) == (labels[probe.rows] == 1)).mean() > 0.97


def test_what_is_known_of_a_group_does_not_help(noise):
    """The label is the group's, the features name the group: with a group on both sides all would be known."""
    groups = np.repeat(np.arange(40), 10)
    labels = noise.permutation(np.arange(40) % 2)[groups]
    of_groups = noise.normal(size=(40, FEATURES))
    images, _, _ = cohort(noise, labels, mean=noise.permutation(40)[groups], contrast=noise.permutation(40)[groups])
    embeddings = (of_groups[groups] + noise.normal(scale=0.01, size=(COUNT, FEATURES))).astype(np.float32)
    probe = probed(images, embeddings, pd.Series(groups).astype(str))
    assert probe.trivial < 0.75
    assert probe.embedding < 0.75
    mixed = probed(images, embeddings, pd.Series(range(COUNT)).astype(str))
    assert mixed.trivial > 0.85
    assert mixed.embedding > 0.95


@pytest.mark.parametrize(("present", "probes"), [(MIN_GROUPS - 1, 0), (MIN_GROUPS, 1), (0, 0)])
def test_with_too_few_groups_of_either_class_nothing_is_said(noise, present, probes):
    for labels in (np.arange(100) < present, np.arange(100) >= present):
        images, embeddings, groups = cohort(noise, labels)
        assert len(list(probe_findings(images, embeddings, groups, ["Mass"]))) == probes


def test_many_images_of_few_groups_are_few(noise):
    images, embeddings, _ = cohort(noise, np.arange(COUNT) % 2)
    groups = pd.Series(np.arange(COUNT) % (2 * MIN_GROUPS - 2)).astype(str)
    assert list(probe_findings(images, embeddings, groups, ["Mass"])) == []


def test_each_source_is_probed_by_itself(noise):
    one = cohort(noise, np.arange(100) % 2)
    few = cohort(noise, np.arange(10) % 2, source="few")
    two = cohort(noise, np.arange(100) % 2, source="two", mean=np.arange(100) % 2)
    images = pd.concat([one[0], few[0], two[0]], ignore_index=True)
    embeddings = np.concatenate([one[1], few[1], two[1]])
    groups = pd.concat([one[2], few[2], two[2]], ignore_index=True)
    probes = list(probe_findings(images.assign(Edema=np.nan), embeddings, groups, ["Mass", "Edema"]))
    assert [(probe.scope, probe.target, probe.warning) for probe in probes] == [
        ("one", "Mass", False), ("two", "Mass", True)
    ]  # fmt: skip
    assert probes[1].rows.tolist() == list(range(110, 210))


def both(noise, *sources, count=120, **known):
    """One table of sources whose images differ in nothing, unless in what is `known` of the first."""
    parts = [cohort(noise, np.zeros(count), source, **(known if source == sources[0] else {})) for source in sources]
    images, embeddings, groups = zip(*parts, strict=True)
    return pd.concat(images, ignore_index=True), np.concatenate(embeddings), pd.concat(groups, ignore_index=True)


def test_two_sources_are_told_apart_by_the_size_of_their_images(noise):
    probe = probe_source(*both(noise, "large", "small", width=2000.0, height=2000.0))
    assert (probe.scope, probe.target, probe.images) == ("all", "source", 240)
    assert probe.trivial > 0.97
    assert probe.feature in {"width", "height"}
    assert probe.embedding == pytest.approx(0.5, abs=0.15)
    assert probe.warning


def test_sources_that_differ_in_nothing_are_not_told_apart(noise):
    probe = probe_source(*both(noise, "one", "two"))
    assert probe.trivial == pytest.approx(0.5, abs=0.15)
    assert not probe.warning


def test_of_three_sources_each_is_asked_against_the_rest(noise):
    probe = probe_source(*both(noise, "one", "two", "three", width=2000.0))
    # The one is always told, the others are chance within what is left: (1 + 0.75 + 0.75) / 3.
    assert probe.trivial == pytest.approx(0.83, abs=0.08)
    assert probe.feature == ""
    assert np.isnan(probe.feature_auroc)


def test_one_source_or_few_groups_of_one_give_no_probe_of_the_source(noise):
    assert probe_source(*both(noise, "one")) is None
    assert probe_source(*both(noise, "one", "two", count=MIN_GROUPS - 1)) is None


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_few_images_are_not_probed(noise, count):
    images, embeddings, groups = cohort(noise, np.arange(count) % 2)
    assert list(probe_findings(images, embeddings, groups, ["Mass"])) == []
    assert probe_source(images, embeddings, groups) is None


def test_the_same_evidence_gives_the_same_figures(noise):
    evidence = cohort(noise, noise.integers(0, 2, COUNT))
    one, other = probed(*evidence), probed(*evidence)
    assert (one.trivial, one.embedding) == (other.trivial, other.embedding)
    assert np.array_equal(one.chances, other.chances)
