"""Cross-entropies equal scikit-learn's over the known labels, and nothing unknown costs or teaches anything."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from models.findings import TaskKind
from models.losses import masked_cross_entropy

NAN = float("nan")
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 1.0, 4.0], [1.0, 2.0, 3.0]])
ONE_HOT = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [NAN, NAN, NAN]])
SEVERAL = np.array([[1.0, 0, NAN], [0, 1, 1], [NAN, NAN, 0], [NAN, NAN, NAN]])


def losses(kind, labels, logits):
    from keras import ops

    return np.asarray(masked_cross_entropy(kind)(ops.cast(labels, "float32"), ops.cast(logits, "float32")))


def test_multiclass_equals_scikit_learns_log_loss():
    found = losses(TaskKind.MULTICLASS, ONE_HOT, LOGITS)
    assert found.dtype == np.float32
    for image in range(3):
        scores = softmax(LOGITS[image : image + 1], axis=1)
        assert found[image] == pytest.approx(log_loss([image], scores, labels=[0, 1, 2]), rel=1e-5)
    assert found[1] == pytest.approx(np.log(3))


def test_multilabel_is_the_mean_of_scikit_learns_log_losses_over_known_labels():
    found = losses(TaskKind.MULTILABEL, SEVERAL, LOGITS)
    assert found.dtype == np.float32
    for image in range(3):
        known = ~np.isnan(SEVERAL[image])
        expected = log_loss(SEVERAL[image, known], expit(LOGITS[image, known]), labels=[0, 1])
        assert found[image] == pytest.approx(expected, rel=1e-5)
    assert found[1] == pytest.approx(np.log(2))


@pytest.mark.parametrize("kind", TaskKind)
def test_an_image_without_known_labels_costs_nothing(kind):
    assert losses(kind, np.full((2, 3), NAN), LOGITS[:2]).tolist() == [0, 0]


@pytest.mark.parametrize(("kind", "labels"), [(TaskKind.MULTICLASS, ONE_HOT), (TaskKind.MULTILABEL, SEVERAL)])
def test_a_gradient_is_finite_and_teaches_nothing_where_the_label_is_unknown(kind, labels):
    import tensorflow as tf

    for size in (1.0, 1e4):
        logits = tf.constant(LOGITS * size, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = masked_cross_entropy(kind)(tf.constant(labels, tf.float32), logits)
        gradient = np.asarray(tape.gradient(loss, logits))
        assert np.isfinite(np.asarray(loss)).all()
        assert np.isfinite(gradient).all()
        assert not gradient[np.isnan(labels)].any()
        assert gradient[~np.isnan(labels)].any()


def test_a_multilabel_gradient_is_score_minus_label_over_the_known():
    import tensorflow as tf

    logits = tf.constant(LOGITS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = masked_cross_entropy(TaskKind.MULTILABEL)(tf.constant(SEVERAL, tf.float32), logits)
    gradient = np.asarray(tape.gradient(loss, logits))
    # two labels are known; the sigmoid of 2 is 0.8807971, that of -1 is 0.2689414
    assert gradient[0] == pytest.approx([-0.0596015, 0.1344707, 0], abs=1e-6)
