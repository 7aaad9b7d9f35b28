"""DeLong's test: by hand, against its definition over all pairs, and against the bootstrap."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from models.comparison import compare_auroc
from models.scoring import auroc, estimate

NAN = float("nan")


def simulated(images, seed, strength_a=1.0, strength_b=1.0):
    """Labels, and scores of two models that err together; rounded, so that there are ties."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(images) % 3 == 0).astype(float)
    both = generator.normal(0, 1, images)
    alone = generator.normal(0, 1, (2, images))
    return (
        labels,
        np.round(strength_a * labels + both + alone[0], 1),
        np.round(strength_b * labels + both + alone[1], 1),
    )


def by_definition(labels, scores_a, scores_b):
    """Difference and standard error as DeLong et al. (1988) write them: a kernel over all pairs, then covariances."""
    areas, of_positives, of_negatives = [], [], []
    for scores in (scores_a, scores_b):
        kernel = np.array([[float(x > y) + 0.5 * (x == y) for y in scores[labels == 0]] for x in scores[labels == 1]])
        areas.append(kernel.mean())
        of_positives.append(kernel.mean(axis=1))
        of_negatives.append(kernel.mean(axis=0))
    covariance = np.cov(of_positives) / len(of_positives[0]) + np.cov(of_negatives) / len(of_negatives[0])
    contrast = np.array([1, -1])
    return areas[0] - areas[1], np.sqrt(contrast @ covariance @ contrast)


def test_a_comparison_worked_by_hand():
    # Positives win against 2, 2 and 0 of two negatives by a, against 1, 2 and 1 by b: AUROC 4/6 and 4/6.
    # Gains of positives 1/2, 0, -1/2: variance 1/4, over 3; of negatives 2/3 - 1/3 and 2/3 - 1: variance 2/9, over 2.
    labels = np.array([1.0, 1, 1, 0, 0])
    compared = compare_auroc(labels, np.array([0.9, 0.8, 0.1, 0.2, 0.3]), np.array([0.5, 0.9, 0.5, 0.7, 0.2]))
    margin = 1.959964 * np.sqrt(1 / 12 + 1 / 9)
    assert compared == pytest.approx((0.0, -margin, margin, 1.0))


@pytest.mark.parametrize("seed", range(5))
def test_ranks_give_what_the_definition_over_all_pairs_gives(seed):
    labels, scores_a, scores_b = simulated(90, seed, 1.5, 0.8)
    difference, error = by_definition(labels, scores_a, scores_b)
    assert difference == pytest.approx(roc_auc_score(labels, scores_a) - roc_auc_score(labels, scores_b))
    assert compare_auroc(labels, scores_a, scores_b) == pytest.approx(
        (
            difference,
            difference - 1.959964 * error,
            difference + 1.959964 * error,
            2 * norm.cdf(-abs(difference) / error),
        )
    )


def test_the_interval_is_about_the_bootstraps():
    labels, scores_a, scores_b = simulated(400, 1, 1.5, 1.0)
    theirs = estimate(
        lambda weights: auroc(labels, scores_a, weights) - auroc(labels, scores_b, weights),
        np.arange(400).astype(object),
        replicates=2000,
        seed=2,
    )
    compared = compare_auroc(labels, scores_a, scores_b)
    assert compared[:3] == pytest.approx((theirs.value, theirs.low, theirs.high), abs=0.006)


def test_models_that_are_equally_good_differ_in_one_of_twenty_samples():
    p_values = np.array([compare_auroc(*simulated(150, seed)).p_value for seed in range(300)])
    assert 0.03 <= (p_values < 0.05).mean() <= 0.08
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)


def test_the_other_way_round_the_sign_turns():
    labels, scores_a, scores_b = simulated(120, 7, 1.5, 0.5)
    one, other = compare_auroc(labels, scores_a, scores_b), compare_auroc(labels, scores_b, scores_a)
    assert one.difference > 0
    assert other == pytest.approx((-one.difference, -one.high, -one.low, one.p_value))


@pytest.mark.parametrize("same", [lambda scores: scores, lambda scores: 3 * scores - 7])
def test_a_model_does_not_differ_from_itself(same):
    labels, scores, _ = simulated(60, 3)
    assert compare_auroc(labels, scores, same(scores)) == (0.0, 0.0, 0.0, 1.0)


def test_all_scores_tied_is_an_auroc_of_a_half():
    labels, scores, _ = simulated(60, 3)
    assert compare_auroc(labels, scores, np.zeros(60)).difference == pytest.approx(roc_auc_score(labels, scores) - 0.5)


def test_right_throughout_against_wrong_throughout_leaves_no_doubt():
    labels = np.array([1.0, 1, 0, 0])
    assert compare_auroc(labels, labels, 1 - labels) == (1.0, 1.0, 1.0, 0.0)


def test_images_whose_label_is_not_known_are_left_out():
    labels, scores_a, scores_b = simulated(60, 3)
    more = [np.append(one, extra) for one, extra in ((labels, NAN), (scores_a, 9.0), (scores_b, -9.0))]
    assert compare_auroc(*more) == compare_auroc(labels, scores_a, scores_b)


@pytest.mark.parametrize("labels", [[], [1.0, 1, 1], [0.0, 0, 0], [1.0, 0, 0], [1.0, 1, 0], [NAN, NAN, NAN]])
def test_fewer_than_two_of_a_kind_cannot_be_compared(labels):
    scores = np.linspace(0, 1, len(labels))
    assert np.isnan(compare_auroc(np.array(labels), scores, scores)).all()


def test_scores_of_another_number_of_images_are_refused():
    with pytest.raises(IndexError):
        compare_auroc(np.array([1.0, 1, 0, 0]), np.zeros(4), np.zeros(3))
