import numpy as np
import pytest
from sklearn.metrics import log_loss

from models.findings import Head, find_task
from models.losses import loss_of

CLASSES = Head(name="three", kind="multiclass", findings=find_task("pneumonia").findings)
PAIR = Head(name="pair", kind="multilabel", findings=("Effusion", "Nodule"))


def loss(heads, labels, logits, weights=None, kind="cross_entropy", smoothing=0.0):
    labels = np.asarray(labels, np.float32)
    weights = np.ones_like(labels) if weights is None else np.asarray(weights, np.float32)
    targets = np.stack([labels, weights], axis=-1)
    return np.asarray(loss_of(heads, kind, smoothing)(targets, np.asarray(logits, np.float32)))


def test_a_multilabel_head_costs_the_mean_cross_entropy_of_its_findings(noise):
    labels, logits = noise.integers(0, 2, (5, 2)), noise.normal(size=(5, 2))
    chances = 1 / (1 + np.exp(-logits))
    expected = [log_loss(y, p, labels=[0, 1]) for y, p in zip(labels, chances, strict=True)]
    np.testing.assert_allclose(loss([PAIR], labels, logits), expected, rtol=1e-5)


def test_a_multiclass_head_costs_the_cross_entropy_of_its_softmax(noise):
    labels, logits = np.eye(3)[[0, 2, 1]], noise.normal(size=(3, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = [log_loss([y.argmax()], [p], labels=[0, 1, 2]) for y, p in zip(labels, chances, strict=True)]
    np.testing.assert_allclose(loss([CLASSES], labels, logits), expected, rtol=1e-5)


def test_heads_add_up(noise):
    labels, logits = np.hstack([np.eye(3), np.ones((3, 2))]), noise.normal(size=(3, 5))
    apart = loss([CLASSES], labels[:, :3], logits[:, :3]) + loss([PAIR], labels[:, 3:], logits[:, 3:])
    np.testing.assert_allclose(loss([CLASSES, PAIR], labels, logits), apart, rtol=1e-6)


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "asymmetric"])
def test_an_unknown_label_costs_nothing_and_teaches_nothing(kind):
    import tensorflow as tf

    logits = tf.Variable([[0.3, -2.0]])
    targets = tf.constant([[[1.0, 1.0], [np.nan, 0.0]]])
    with tf.GradientTape() as tape:
        cost = loss_of([PAIR], kind, 0.1)(targets, logits)
    gradient = tape.gradient(cost, logits).numpy()
    assert np.isfinite(cost.numpy()).all()
    assert gradient[0, 0] < 0
    assert gradient[0, 1] == 0


def test_a_weight_counts_a_label_that_often():
    once, thrice = (loss([PAIR], [[1, 0]], [[0.2, 0.1]], [[weight, 0]]) for weight in (1, 3))
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-6)


def test_smoothing_spreads_a_share_of_the_label():
    # a tenth of certainty taken: the label 1 becomes 0.95, of three classes 0.9 + 0.1 / 3
    np.testing.assert_allclose(loss([PAIR], [[1, 1]], [[2, 2]], smoothing=0.1), loss([PAIR], [[0.95] * 2], [[2, 2]]))
    spread = loss([CLASSES], [[1, 0, 0]], [[2, 1, 0]], smoothing=0.1)
    np.testing.assert_allclose(spread, loss([CLASSES], [[0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]], [[2, 1, 0]]), rtol=1e-6)


def test_focal_loss_is_the_cross_entropy_times_the_square_of_what_is_missing():
    # sigmoid(ln 3) = 0.75: of a positive 0.25 is missing, and -ln 0.75 is 0.28768
    np.testing.assert_allclose(loss([PAIR], [[1, 1]], [[np.log(3)] * 2], kind="focal"), 0.25**2 * 0.28768, rtol=1e-4)


def test_asymmetric_loss_forgives_negatives_below_its_margin():
    # sigmoid(-4) = 0.018 lies below the margin of 0.05
    assert loss([PAIR], [[0, 0]], [[-4, -4]], kind="asymmetric") == 0
    # at 0.75: (0.75 - 0.05)^4 * -ln(1 - 0.7); a positive there costs 0.25 * -ln 0.75
    np.testing.assert_allclose(
        loss([PAIR], [[0, 0]], [[np.log(3)] * 2], kind="asymmetric"), 0.7**4 * 1.20397, rtol=1e-4
    )
    np.testing.assert_allclose(loss([PAIR], [[1, 1]], [[np.log(3)] * 2], kind="asymmetric"), 0.25 * 0.28768, rtol=1e-4)


@pytest.mark.parametrize("logit", [-80.0, 80.0])
def test_extreme_logits_do_not_overflow(logit):
    for kind in ("cross_entropy", "focal", "asymmetric"):
        assert np.isfinite(loss([PAIR], [[0, 1]], [[logit, logit]], kind=kind)).all()
        assert np.isfinite(loss([CLASSES], [[1, 0, 0]], [[logit, 0, 0]], kind=kind)).all()
