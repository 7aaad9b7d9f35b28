"""Temperatures: what they do to scores, and that the fitted ones are the true ones."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import softmax
from sklearn.metrics import log_loss

from models.calibration import Calibration, fit_calibration, uncalibrated
from models.findings import TaskKind, find_task

LOG2, LOG3, LOG9 = np.log([2, 3, 9])
NAN = float("nan")

# Three of four are called rightly, so that the probability should be 0.75: a logit of log 3, half of what they have.
SURE = np.array([[2 * LOG3]] * 4 + [[-2 * LOG3]] * 4)
THREE_OF_FOUR = np.array([[1.0], [1], [1], [0], [0], [0], [0], [1]])

# Each finding has twice the odds of the two others (2 : 1 : 1), so that the winner's logit should be log 2.
ONE_OF_THREE = np.repeat(np.eye(3), 4, axis=0) * 2 * LOG2
TWO_OF_FOUR = np.eye(3)[[0, 0, 1, 2, 1, 1, 0, 2, 2, 2, 0, 1]]


@pytest.mark.parametrize(
    ("kind", "temperatures", "logits", "probabilities"),
    [
        (TaskKind.MULTICLASS, (1.0,), [0, LOG9], [0.1, 0.9]),
        (TaskKind.MULTICLASS, (2.0,), [0, LOG9], [0.25, 0.75]),  # 1 : sqrt 9
        (TaskKind.MULTILABEL, (1.0, 1.0), [-LOG9, LOG9], [0.1, 0.9]),
        (TaskKind.MULTILABEL, (1.0, 2.0), [-LOG9, LOG9], [0.1, 0.75]),
        (TaskKind.MULTILABEL, (1.0, 1.0), [-5000, 5000], [0.0, 1.0]),
    ],
)
def test_logits_are_divided_by_the_temperature(kind, temperatures, logits, probabilities):
    calibrated = Calibration(kind=kind, temperatures=temperatures).probabilities(np.array([logits], np.float32))
    assert calibrated.dtype == np.float64
    np.testing.assert_allclose(calibrated, [probabilities], atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "labels", "logits"),
    [(TaskKind.MULTILABEL, THREE_OF_FOUR, SURE), (TaskKind.MULTICLASS, TWO_OF_FOUR, ONE_OF_THREE)],
)
def test_logits_twice_too_sure_have_temperature_two(kind, labels, logits):
    fitted = fit_calibration(kind, labels, logits)
    assert fitted.temperatures == pytest.approx((2.0,), abs=1e-4)
    plain = Calibration(kind=kind, temperatures=(1.0,))
    truth = labels.argmax(axis=1) if kind is TaskKind.MULTICLASS else labels
    assert log_loss(truth, fitted.probabilities(logits)) < log_loss(truth, plain.probabilities(logits))


def test_each_finding_of_a_multilabel_task_has_its_own_temperature():
    logits = np.hstack([SURE, SURE / 2, SURE / 4])
    fitted = fit_calibration(TaskKind.MULTILABEL, np.repeat(THREE_OF_FOUR, 3, axis=1), logits)
    assert fitted.temperatures == pytest.approx((2.0, 1.0, 0.5), abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "labels", "logits", "unknown"),
    [
        (TaskKind.MULTILABEL, THREE_OF_FOUR, SURE, [NAN]),
        (TaskKind.MULTICLASS, TWO_OF_FOUR, ONE_OF_THREE, [NAN, NAN, NAN]),
    ],
)
def test_unknown_labels_change_nothing(kind, labels, logits, unknown):
    with_unknown = fit_calibration(kind, np.vstack([[unknown], labels]), np.vstack([-9 * logits[:1], logits]))
    assert with_unknown == fit_calibration(kind, labels, logits)


@pytest.mark.parametrize(
    ("kind", "labels", "temperatures"),
    [
        (TaskKind.MULTILABEL, [[1, 0, NAN], [1, 0, NAN]], (1.0, 1.0, 1.0)),
        (TaskKind.MULTICLASS, [[0, 1, 0], [0, 1, 0]], (1.0,)),
        (TaskKind.MULTICLASS, [[NAN, NAN, NAN], [NAN, NAN, NAN]], (1.0,)),
    ],
)
def test_nothing_to_fit_leaves_the_scores_as_they_are(kind, labels, temperatures):
    fitted = fit_calibration(kind, np.array(labels, float), np.array([[1.0, -2, 3], [0, 1, 2]]))
    assert fitted.temperatures == temperatures


def test_temperatures_survive_json():
    calibration = Calibration(kind=TaskKind.MULTILABEL, temperatures=(0.1, 1 / 3))
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValidationError):
        Calibration(kind="ordinal", temperatures=(1.0,))


@pytest.mark.parametrize(("name", "temperatures"), [("pneumonia", 1), ("thoracic", 18)])
def test_uncalibrated_probabilities_are_the_scores(name, temperatures):
    task = find_task(name)
    logits = np.random.default_rng(3).normal(size=(4, len(task.findings)))
    scores = softmax(logits, axis=1) if name == "pneumonia" else 1 / (1 + np.exp(-logits))
    assert len(uncalibrated(task).temperatures) == temperatures
    np.testing.assert_allclose(uncalibrated(task).probabilities(logits), scores)
