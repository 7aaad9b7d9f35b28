"""Figures of merit, against scikit-learn and hand calculations; intervals, by patient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from models.scoring import (
    auprc,
    auroc,
    confusion_matrix,
    ece,
    estimate,
    finding_metrics,
    multiclass_metrics,
    operating_point,
    reliability,
)

NAN = float("nan")
LABELS = np.array([1.0, 0, 1, 1, 0, 0, 1, 0])
TIED = np.array([0.9, 0.9, 0.7, 0.4, 0.4, 0.4, 0.1, 0.0])
PROBABILITIES = np.array([0.8, 0.7, 0.6, 0.3, 0.5, 0.2, 0.1, 0.05])
ONES = np.ones((1, 8))

# Four images of class 0, two of 1, two of 2; rows sum to one.
CLASSES = np.array([0, 0, 0, 0, 1, 1, 2, 2])
CLASS_SCORES = np.array(
    [[8, 1, 1], [6, 3, 1], [2, 5, 3], [5, 4, 1], [3, 6, 1], [5, 4, 1], [1, 1, 8], [2, 5, 3]], float
) / 10  # fmt: skip

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=30)


def test_auroc_counts_ties_half():
    # 16 pairs of a positive and a negative: 0.9 wins 3.5, 0.7 wins 3, 0.4 wins 1 + 1, 0.1 wins 1
    assert auroc(LABELS, TIED, ONES) == pytest.approx([9.5 / 16])


def test_auprc_is_the_precision_at_each_score_by_the_recall_gained():
    # 1 of 2 at 0.9, 2 of 3 at 0.7, 3 of 6 at 0.4, 4 of 7 at 0.1, a quarter of the recall each
    assert auprc(LABELS, TIED, ONES) == pytest.approx([(1 / 2 + 2 / 3 + 3 / 6 + 4 / 7) / 4])


@settings(max_examples=200, deadline=None)
@given(cases)
def test_areas_equal_scikit_learns_with_ties_and_weights(images):
    labels, scores, weights = np.array(images, float).T
    for metric, theirs, defined in [
        (auroc, sklearn_metrics.roc_auc_score, weights @ labels > 0 and weights @ (1 - labels) > 0),
        (auprc, sklearn_metrics.average_precision_score, weights @ labels > 0),
    ]:
        expected = theirs(labels, scores, sample_weight=weights) if defined else NAN
        assert metric(labels, scores, weights[np.newaxis]) == pytest.approx([expected], nan_ok=True)


def test_each_replicate_has_its_own_figure():
    weights = np.array([[1, 1, 1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 0, 0, 1, 1], [0, 1, 0, 0, 1, 1, 0, 1]], float)
    # the second has three positives above, one of them not, one negative; the third has no positive
    assert auroc(LABELS, TIED, weights) == pytest.approx([9.5 / 16, 1.0, NAN], nan_ok=True)
    assert auprc(LABELS, TIED, weights)[1:] == pytest.approx([1.0, NAN], nan_ok=True)


def test_auroc_without_negatives_is_undefined():
    assert np.isnan(auroc(np.ones(3), np.array([0.1, 0.2, 0.3]), np.ones((1, 3)))).all()


# Two bins of ten: 5 present at 0.1, 8 present at 0.8.
BINNED = np.repeat([1.0, 0, 1, 0], [5, 5, 8, 2])
STATED = np.repeat([0.1, 0.8], 10)


def test_ece_leaves_an_images_product_with_itself_out_of_the_squared_gap():
    # labels less probabilities: 5 of 0.9 and 5 of -0.1 add up to 4, their squares to 4.1; in the other bin to 0 and 1.6
    low, high = (4**2 - 4.1) / (10 * 9), (0 - 1.6) / (10 * 9)
    assert ece(BINNED, STATED, np.ones((1, 20))) == pytest.approx([np.sqrt((low + high) / 2)])
    # the first image counted three times: 0.9 * 7 - 0.5 = 5.8, of 12 images whose products with themselves are 9 + 9
    low = (5.8**2 - (0.81 * (9 + 4) + 0.01 * 5)) / (12**2 - 18)
    weights = np.r_[3.0, np.ones(19)][np.newaxis]
    assert ece(BINNED, STATED, weights) == pytest.approx([np.sqrt((12 * low + 10 * high) / 22)])


def test_a_gap_no_larger_than_chance_makes_it_is_no_error():
    assert ece(BINNED[10:], STATED[10:], np.ones((1, 10))) == [0.0]


def test_a_single_image_has_no_ece():
    # the second replicate consists of one image, drawn twice
    assert np.isnan(ece(np.ones(1), np.ones(1), np.ones((1, 1)))).all()
    assert np.isnan(ece(np.ones(2), np.ones(2), np.array([[1.0, 1], [2, 0]]))).tolist() == [False, True]


def test_equal_probabilities_share_a_bin_in_whatever_order_images_stand():
    labels, probabilities = np.r_[BINNED, np.ones(20)], np.repeat([0.2, 0.7, 0.9], [5, 30, 5])
    shuffled = np.random.default_rng(1).permutation(40)
    for of in (reliability, lambda *images: ece(*images, np.ones((1, 40)))):
        np.testing.assert_allclose(of(labels, probabilities), of(labels[shuffled], probabilities[shuffled]))


def samples(images, said, repeats=200):
    """Labels drawn from probabilities, and what a model says of them."""
    generator = np.random.default_rng(6)
    for _ in range(repeats):
        true = 1 / (1 + np.exp(-generator.normal(-1, 1.5, images)))
        yield (generator.random(images) < true).astype(float), said(true)


def plain_ece(labels, probabilities):
    """Over 15 bins of equal width (Naeini et al. 2015)."""
    bins = np.minimum((probabilities * 15).astype(int), 14)
    return np.abs(np.bincount(bins, labels - probabilities, 15)).sum() / len(labels)


def test_perfect_calibration_of_150_images_has_an_ece_near_zero_where_the_plain_one_has_not():
    drawn = list(samples(150, lambda true: true))
    found = np.array([ece(labels, said, np.ones((1, 150)))[0] for labels, said in drawn])
    assert found.mean() < 0.035
    assert np.median(found) < 0.01
    assert np.mean([plain_ece(labels, said) for labels, said in drawn]) > 0.085


@pytest.mark.parametrize("images", [150, 600])
def test_the_ece_of_wrong_probabilities_is_their_distance_from_the_true_ones(images):
    # everything said 0.15 too high; squares average to 0.15 squared, however few images
    drawn = samples(images, lambda true: true + 0.15)
    squares = [ece(labels, said, np.ones((1, images)))[0] ** 2 for labels, said in drawn]
    assert np.sqrt(np.mean(squares)) == pytest.approx(0.15, abs=0.007)


def test_the_replicates_of_a_bootstrap_lie_around_the_ece():
    labels, said = next(samples(300, lambda true: true + 0.15))
    weights = np.random.default_rng(2).multinomial(300, np.full(300, 1 / 300), size=1000).astype(float)
    value = ece(labels, said, np.ones((1, 300)))[0]
    assert np.sqrt(np.mean(ece(labels, said, weights) ** 2)) == pytest.approx(value, abs=0.005)


def test_the_reliability_diagram_has_bins_of_equally_many_images():
    probabilities = np.array([0.9, 0.1, 0.2, 0.8, 0.3, 0.5])
    labels = np.array([1.0, 0, 0, 1, 1, 0])
    assert reliability(labels, probabilities, bins=3) == [
        (pytest.approx(0.15), 0.0, 2),
        (pytest.approx(0.4), 0.5, 2),
        (pytest.approx(0.85), 1.0, 2),
    ]
    # the four equal ones share a bin, and no bin is empty
    tied = np.array([0.9, 0.1, 0.2, 0.2, 0.2, 0.2])
    assert reliability(labels, tied, bins=6) == [
        (pytest.approx(0.1), 0.0, 1),
        (pytest.approx(0.2), 0.5, 4),
        (pytest.approx(0.9), 1.0, 1),
    ]
    assert reliability(labels[:0], probabilities[:0]) == []


def test_the_figures_of_a_finding_equal_scikit_learns():
    figures = {name: metric(ONES) for name, metric in finding_metrics(LABELS, TIED, PROBABILITIES, 0.4).items()}
    called = TIED >= 0.4
    assert figures == {
        "auroc": pytest.approx([sklearn_metrics.roc_auc_score(LABELS, TIED)]),
        "auprc": pytest.approx([sklearn_metrics.average_precision_score(LABELS, TIED)]),
        "sensitivity": pytest.approx([sklearn_metrics.recall_score(LABELS, called)]),
        "specificity": pytest.approx([sklearn_metrics.recall_score(LABELS, called, pos_label=0)]),
        "brier": pytest.approx([sklearn_metrics.brier_score_loss(LABELS, PROBABILITIES)]),
        # one bin: the gaps add up to 0.75, their squares to 2.2825, which is more than 0.75 squared
        "ece": [0.0],
    }
    assert (figures["sensitivity"], figures["specificity"]) == ([0.75], [0.25])


@pytest.mark.parametrize(
    ("only", "undefined"), [(1.0, {"auroc", "specificity"}), (0.0, {"auroc", "auprc", "sensitivity"})]
)
def test_figures_that_need_the_other_kind_of_image_are_undefined(only, undefined):
    figures = finding_metrics(np.full(8, only), TIED, PROBABILITIES, 0.5)
    assert {name for name, metric in figures.items() if np.isnan(metric(ONES)).all()} == undefined


def test_the_figures_of_a_multiclass_task_equal_scikit_learns():
    called = CLASS_SCORES.argmax(axis=1)
    figures = multiclass_metrics(np.eye(3)[CLASSES], CLASS_SCORES, CLASS_SCORES)
    assert {name: metric(ONES) for name, metric in figures.items()} == {
        "accuracy": pytest.approx([5 / 8]),
        "balanced_accuracy": pytest.approx([sklearn_metrics.balanced_accuracy_score(CLASSES, called)]),
        "log_loss": pytest.approx([sklearn_metrics.log_loss(CLASSES, CLASS_SCORES)]),
        "macro_auroc": pytest.approx([sklearn_metrics.roc_auc_score(CLASSES, CLASS_SCORES, multi_class="ovr")]),
    }


def test_a_certain_mistake_costs_a_finite_log_loss():
    figures = multiclass_metrics(np.eye(3)[[0]], np.eye(3)[[1]], np.eye(3)[[1]])
    assert figures["log_loss"](np.ones((1, 1))) == pytest.approx([-np.log(1e-12)])


def test_rows_of_the_confusion_matrix_are_the_truth():
    matrix = confusion_matrix(np.eye(3)[CLASSES], CLASS_SCORES)
    assert matrix.tolist() == [[3, 1, 0], [1, 1, 0], [0, 1, 1]]
    assert matrix.tolist() == sklearn_metrics.confusion_matrix(CLASSES, CLASS_SCORES.argmax(axis=1)).tolist()


@pytest.mark.parametrize(("target", "point"), [(1.0, 0.1), (0.76, 0.1), (0.75, 0.4), (0.5, 0.7), (0.01, 0.9)])
def test_the_operating_point_is_the_highest_that_finds_enough_positives(target, point):
    assert operating_point(LABELS, TIED, target) == point
    assert operating_point(np.r_[NAN, LABELS], np.r_[1.0, TIED], target) == point


def test_the_operating_point_is_exact_where_a_product_is_not():
    # 0.55 * 100 is 55.00000000000001 in floating point; 55 of 100 are 0.55
    assert operating_point(np.ones(100), np.arange(100) / 100, 0.55) == 0.45


def test_without_a_known_positive_the_operating_point_is_a_half():
    assert operating_point(np.array([0.0, NAN]), np.array([0.2, 0.9]), 0.9) == 0.5


def accuracy_of(hits):
    return finding_metrics(np.ones(len(hits)), hits, hits, 0.5)["sensitivity"]


def test_the_interval_of_a_share_is_the_binomials():
    hits = np.arange(100) < 60
    found = estimate(accuracy_of(hits.astype(float)), np.arange(100).astype(object), 4000, seed=1)
    assert found.value == 0.6
    # 0.6 -+ 1.96 sqrt(0.6 * 0.4 / 100)
    assert (found.low, found.high) == pytest.approx((0.504, 0.696), abs=0.011)


def test_about_95_of_100_intervals_cover_the_truth():
    generator = np.random.default_rng(3)
    patients = np.arange(100).astype(object)
    found = [estimate(accuracy_of((generator.random(100) < 0.7).astype(float)), patients, 400, 5) for _ in range(200)]
    assert 0.90 <= np.mean([one.low <= 0.7 <= one.high for one in found]) <= 0.99


def test_more_images_of_the_same_patients_say_nothing_new():
    hits = np.tile([1.0, 1, 0, 1, 0], 10)
    patients = np.array([f"p{i}" for i in range(50)], object)
    one = estimate(accuracy_of(hits), patients, 500, seed=2)
    four = estimate(accuracy_of(np.repeat(hits, 4)), np.repeat(patients, 4), 500, seed=2)
    others = estimate(accuracy_of(np.repeat(hits, 4)), np.arange(200).astype(object), 500, seed=2)
    assert four == one
    # four times as many patients: half as wide
    assert (others.high - others.low) / (one.high - one.low) == pytest.approx(0.5, abs=0.1)


def test_the_seed_decides_the_interval():
    metric, patients = accuracy_of(np.tile([1.0, 0, 1], 30)), np.arange(90).astype(object)
    assert estimate(metric, patients, 100, seed=1) == estimate(metric, patients, 100, seed=1)
    assert estimate(metric, patients, 100, seed=1) != estimate(metric, patients, 100, seed=2)


def test_replicates_without_a_figure_are_left_out():
    # both patients are needed; half of all draws take one twice
    labels, scores = np.array([1.0, 0]), np.array([0.9, 0.1])
    found = estimate(finding_metrics(labels, scores, scores, 0.5)["auroc"], np.array(["a", "b"], object), 50, seed=1)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("images", [0, 3])
def test_an_undefined_figure_has_no_interval(images):
    labels, scores = np.ones(images), np.linspace(0, 1, images)
    metric = finding_metrics(labels, scores, scores, 0.5)["auroc"]
    found = estimate(metric, np.arange(images).astype(object), 10, seed=1)
    assert np.isnan([found.value, found.low, found.high]).all()
