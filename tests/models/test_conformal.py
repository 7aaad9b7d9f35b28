"""Thresholds of the answer "absent": by hand, against the library crepes, and that they keep their promise."""

import numpy as np
import pytest
from crepes import ConformalClassifier
from pydantic import ValidationError

from models.conformal import Conformal, fit_conformal, unlimited
from models.findings import Head, TaskKind

NAN = float("nan")
PAIR = Head(name="pair", kind=TaskKind.MULTILABEL, findings=("Mass", "Nodule"))
THREE = Head(name="pneumonia", kind=TaskKind.MULTICLASS, findings=("Normal", "Bacterial Pneumonia", "Viral Pneumonia"))


def simulated(head, images, seed):
    """Labels and scores of a model that is right more often than not, and badly calibrated."""
    generator = np.random.default_rng(seed)
    if head.kind is TaskKind.MULTILABEL:
        labels = (generator.random((images, 2)) < [0.3, 0.1]).astype(float)
        return labels, generator.beta(1 + 2 * labels, 3)
    labels = np.eye(3)[generator.choice(3, images, p=[0.5, 0.3, 0.2])]
    scores = generator.gamma(0.5 + 2 * labels)
    return labels, scores / scores.sum(axis=1, keepdims=True)


def test_the_threshold_is_the_kth_lowest_score_of_the_positives():
    # 9 positives of Mass at a risk of 0.2: k = 0.2 * 10 = 2; 4 of Nodule: k = 0.2 * 5 = 1
    labels = np.array([[1, 1]] * 4 + [[1, 0]] * 5 + [[0, NAN]] * 3, float)
    scores = np.array([0.5, 0.3, 0.9, 0.8, 0.7, 0.2, 0.6, 0.4, 0.95, 0.01, 0.02, 0.03])
    conformal = fit_conformal([PAIR], labels, np.column_stack([scores, scores]), 0.2)
    assert conformal == Conformal(risk=0.2, absent_below=(0.3, 0.3))


@pytest.mark.parametrize(("risk", "k"), [(0.29, 29), (0.289, 28), (0.07, 7), (0.01, 1), (0.0099, 0), (0.0, 0)])
def test_k_is_exact_where_a_product_is_not(risk, k):
    # 0.29 * 100 is 28.999999999999996 in floating point
    scores = np.arange(1, 100)[:, np.newaxis] / 100
    head = Head(name="mass", kind=TaskKind.MULTILABEL, findings=("Mass",))
    assert fit_conformal([head], np.ones((99, 1)), scores, risk).absent_below == (k / 100,)


def test_too_few_positives_bear_no_risk_and_the_finding_is_never_absent():
    labels = np.array([[1, NAN]] * 18 + [[0, 0]] * 50, float)
    scores = np.full((68, 2), 0.5)
    # 18 positives: floor(0.05 * 19) = 0; no positive of Nodule at all
    conformal = fit_conformal([PAIR], labels, scores, 0.05)
    assert conformal.absent_below == (0.0, 0.0)
    assert conformal.uncertain([PAIR], np.zeros((1, 2)), np.zeros((1, 2), bool)).all()


def test_the_classes_of_a_head_share_the_threshold_of_the_true_class():
    labels = np.eye(3)[[0, 0, 1, 2]]
    scores = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]])
    # of the true classes' 0.7, 0.4, 0.6 and 0.8 the floor(0.4 * 5) = 2nd lowest; the unlabelled image is left out
    conformal = fit_conformal([THREE], np.vstack([labels, [NAN] * 3]), np.vstack([scores, [0.0, 0.0, 1.0]]), 0.4)
    assert conformal.absent_below == (0.6, 0.6, 0.6)


def test_heads_stand_side_by_side():
    (pair_labels, pair_scores), (labels, scores) = simulated(PAIR, 200, 1), simulated(THREE, 200, 2)
    both = fit_conformal([PAIR, THREE], np.hstack([pair_labels, labels]), np.hstack([pair_scores, scores]), 0.1)
    alone = [fit_conformal([PAIR], pair_labels, pair_scores, 0.1), fit_conformal([THREE], labels, scores, 0.1)]
    assert both.absent_below == alone[0].absent_below + alone[1].absent_below


@pytest.mark.parametrize("risk", [0.05, 0.1, 0.2])
def test_a_finding_is_called_absent_where_crepes_leaves_it_out_of_the_prediction_set(risk):
    (labels, scores), (_, unseen) = simulated(PAIR, 301, 3), simulated(PAIR, 400, 4)
    conformal = fit_conformal([PAIR], labels, scores, risk)
    possible = conformal.uncertain([PAIR], unseen, np.zeros(unseen.shape, bool))
    for finding in range(2):
        # Mondrian categories are the labels; of a positive the nonconformity is 1 - score
        theirs = ConformalClassifier().fit(
            np.where(labels[:, finding] == 1, 1 - scores[:, finding], scores[:, finding]), labels[:, finding]
        )
        p_values = theirs.predict_p(1 - unseen[:, [finding]], np.ones(len(unseen)), smoothing=False)
        assert possible[:, finding].tolist() == (p_values[:, 0] > risk).tolist()


@pytest.mark.parametrize("risk", [0.05, 0.1, 0.4])
def test_the_possible_classes_are_crepes_prediction_set(risk):
    (labels, scores), (_, unseen) = simulated(THREE, 200, 5), simulated(THREE, 400, 6)
    theirs = ConformalClassifier().fit(1 - scores[labels == 1])
    sets = theirs.predict_p(1 - unseen, smoothing=False) > risk
    uncertain = fit_conformal([THREE], labels, scores, risk).uncertain([THREE], unseen, np.zeros((400, 3), bool))
    sizes = sets.sum(axis=1)
    assert (uncertain[sizes > 1] == sets[sizes > 1]).all()
    assert not uncertain[sizes == 1].any()
    assert (uncertain[sizes == 0].sum(axis=1) == 1).all()


@pytest.mark.parametrize("risk", [0.05, 0.1, 0.2])
def test_no_more_positives_are_called_absent_than_the_stated_share(risk):
    missed = []
    for seed in range(300):
        (labels, scores), (truth, unseen) = simulated(PAIR, 300, seed), simulated(PAIR, 300, 10_000 + seed)
        below = unseen < np.array(fit_conformal([PAIR], labels, scores, risk).absent_below)
        missed.append([below[truth[:, finding] == 1, finding].mean() for finding in range(2)])
    assert (np.mean(missed, axis=0) <= risk + 0.004).all()
    assert np.mean(missed, axis=0)[0] > risk - 0.02  # and not by never calling one absent


@pytest.mark.parametrize("risk", [0.05, 0.2])
def test_the_true_class_is_left_out_no_more_often_than_the_stated_share(risk):
    left_out = []
    for seed in range(300):
        (labels, scores), (truth, unseen) = simulated(THREE, 150, seed), simulated(THREE, 150, 10_000 + seed)
        below = unseen < np.array(fit_conformal([THREE], labels, scores, risk).absent_below)
        left_out.append(below[truth == 1].mean())
    assert risk - 0.02 < np.mean(left_out) <= risk + 0.004


def test_a_finding_neither_present_nor_below_the_threshold_is_uncertain():
    conformal = Conformal(risk=0.1, absent_below=(0.2, 0.6))
    scores = np.array([[0.1, 0.1], [0.2, 0.6], [0.3, 0.55], [0.9, 0.5]])
    present = scores >= [0.5, 0.5]  # the threshold of Nodule lies above its operating point
    expected = [[False, False], [True, False], [True, False], [False, False]]
    assert conformal.uncertain([PAIR], scores, present).tolist() == expected


@pytest.mark.parametrize(
    ("scores", "uncertain"),
    [
        ([0.8, 0.15, 0.05], [False, False, False]),
        ([0.5, 0.3, 0.2], [True, True, False]),
        ([0.3, 0.3, 0.4], [True, True, True]),
    ],
)
def test_more_than_one_possible_class_is_uncertain(scores, uncertain):
    conformal = Conformal(risk=0.1, absent_below=(0.3, 0.3, 0.3))
    assert conformal.uncertain([THREE], np.array([scores]), np.array([[True, False, False]])).tolist() == [uncertain]


def test_without_a_possible_class_the_likeliest_is_uncertain():
    conformal = Conformal(risk=0.5, absent_below=(0.9, 0.9, 0.9))
    uncertain = conformal.uncertain([THREE], np.array([[0.2, 0.5, 0.3]]), np.array([[False, True, False]]))
    assert uncertain.tolist() == [[False, True, False]]


def test_unlimited_never_calls_a_finding_absent():
    conformal = unlimited([PAIR, THREE])
    assert conformal == Conformal(risk=0.0, absent_below=(0.0,) * 5)
    assert conformal.uncertain([PAIR, THREE], np.full((2, 5), 0.01), np.zeros((2, 5), bool)).all()


def test_thresholds_survive_json():
    conformal = Conformal(risk=0.1, absent_below=(1 / 3, 0.1))
    assert Conformal.model_validate_json(conformal.model_dump_json()) == conformal


@pytest.mark.parametrize(("risk", "below"), [(1.0, 0.5), (-0.1, 0.5), (NAN, 0.5), (0.1, 1.5), (0.1, NAN)])
def test_an_impossible_risk_or_threshold_is_refused(risk, below):
    with pytest.raises(ValidationError):
        Conformal(risk=risk, absent_below=(below,))
