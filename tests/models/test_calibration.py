"""Curves: what they do to logits, that the fitted ones are the true ones, and which of them is chosen."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from models.calibration import Calibration, HeadCalibration, Isotonic, Temperature, fit_calibration, uncalibrated
from models.findings import Head, TaskKind

LOG2, LOG3, LOG9 = np.log([2, 3, 9])
NAN = float("nan")
MASS = Head(name="mass", kind=TaskKind.MULTILABEL, findings=("Mass",))
PAIR = Head(name="pair", kind=TaskKind.MULTILABEL, findings=("Mass", "Nodule"))
THREE = Head(name="pneumonia", kind=TaskKind.MULTICLASS, findings=("Normal", "Bacterial Pneumonia", "Viral Pneumonia"))

# Three of four are called rightly; with 32 images of each kind Platt's targets are 33/34 and 1/34, so that the best
# probability is (3 * 33 + 1) / (4 * 34) = 100/136, whose odds are 100/36.
SURE = np.repeat([[2 * LOG3]] * 4 + [[-2 * LOG3]] * 4, 8, axis=0)
THREE_OF_FOUR = np.repeat([[1.0], [1], [1], [0], [0], [0], [0], [1]], 8, axis=0)

# Of 32 images of each class, half have the highest logit at their own; with targets 33/35 and 1/35 twice, the class of
# the highest logit gets (2 * 33 + 2) / (4 * 35) and each other (33 + 3) / (4 * 35): odds of 68/36.
ONE_OF_THREE = np.repeat(np.eye(3), 32, axis=0) * 2 * LOG2
TWO_OF_FOUR = np.eye(3)[np.repeat([0, 0, 1, 2, 1, 1, 0, 2, 2, 2, 0, 1], 8)]


def each_alone(labels):
    return np.array([f"patient {at}" for at in range(len(labels))], object)


def fitted(head, labels, logits, groups=None, seed=3):
    groups = each_alone(labels) if groups is None else groups
    return fit_calibration([head], labels, logits, groups, seed)


def methods(calibration):
    return [curve.method for part in calibration.parts for curve in part.curves]


def drawn(truth, images, seed):
    """Logits (images, 1) around -1, and labels present with the probability that `truth` gives."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, (images, 1))
    return (generator.random((images, 1)) < truth(logits)).astype(float), logits


@pytest.mark.parametrize(
    ("kind", "curves", "logits", "probabilities"),
    [
        (TaskKind.MULTILABEL, (Temperature(), Temperature()), [-LOG9, LOG9], [0.1, 0.9]),
        (TaskKind.MULTILABEL, (Temperature(), Temperature(temperature=2)), [-LOG9, LOG9], [0.1, 0.75]),
        (TaskKind.MULTILABEL, (Temperature(bias=LOG3), Temperature(temperature=2, bias=-LOG3)), [0, LOG9], [0.75, 0.5]),
        (TaskKind.MULTILABEL, (Temperature(), Temperature()), [-5000, 5000], [0.0, 1.0]),
        (TaskKind.MULTICLASS, (Temperature(), Temperature()), [0, LOG9], [0.1, 0.9]),
        (TaskKind.MULTICLASS, (Temperature(temperature=2),) * 2, [0, LOG9], [0.25, 0.75]),  # 1 : sqrt 9
        (TaskKind.MULTICLASS, (Temperature(bias=LOG3), Temperature()), [0, LOG9], [0.25, 0.75]),  # 3 : 9
    ],
)
def test_logits_are_divided_by_the_temperature_and_the_bias_is_added(kind, curves, logits, probabilities):
    calibrated = HeadCalibration(kind=kind, curves=curves).probabilities(np.array([logits], np.float32))
    assert calibrated.dtype == np.float64
    np.testing.assert_allclose(calibrated, [probabilities], atol=1e-7)


def test_an_isotonic_probability_lies_between_its_points_and_stays_outside_them():
    curve = Isotonic(logits=(-1, 1, 3), probabilities=(0.2, 0.6, 0.6))
    calibrated = HeadCalibration(kind=TaskKind.MULTILABEL, curves=(curve,)).probabilities(
        np.array([[-50.0], [-1], [0], [2], [50]])
    )
    np.testing.assert_allclose(calibrated[:, 0], [0.2, 0.2, 0.4, 0.6, 0.6])


def test_isotonic_classes_share_out_one():
    curves = (Isotonic(logits=(-2 * LOG2, 0), probabilities=(0.2, 0.6)), Isotonic(logits=(0,), probabilities=(0.6,)))
    # of two equal logits the log-softmax is -log 2, half way along the first curve: 0.4 to 0.6
    calibrated = HeadCalibration(kind=TaskKind.MULTICLASS, curves=curves).probabilities(np.array([[7.0, 7.0]]))
    np.testing.assert_allclose(calibrated, [[0.4, 0.6]])


def test_each_head_takes_its_own_columns():
    heads = [MASS, THREE, PAIR]
    logits = np.random.default_rng(3).normal(size=(4, 6))
    scores = np.hstack([expit(logits[:, :1]), softmax(logits[:, 1:4], axis=1), expit(logits[:, 4:])])
    np.testing.assert_allclose(uncalibrated(heads).probabilities(logits), scores)
    assert methods(uncalibrated(heads)) == ["none"] * 6


def test_too_sure_a_finding_is_cooled_as_far_as_platts_targets_say():
    probabilities = fitted(MASS, THREE_OF_FOUR, SURE).probabilities(SURE[[0, -1]])
    np.testing.assert_allclose(probabilities[:, 0], [100 / 136, 36 / 136], atol=1e-3)


def test_the_classes_of_a_head_share_a_temperature():
    curves = fitted(THREE, TWO_OF_FOUR, ONE_OF_THREE).parts[0].curves
    assert [curve.temperature for curve in curves] == pytest.approx([2 * LOG2 / np.log(68 / 36)] * 3, abs=1e-3)
    assert [curve.bias for curve in curves] == pytest.approx([0] * 3, abs=1e-3)


def test_temperature_and_bias_equal_scikit_learns_logistic_regression():
    labels, logits = drawn(lambda z: expit(z / 2 - 1), 4000, seed=1)
    (curve,) = fitted(MASS, labels, logits).parts[0].curves
    theirs = LogisticRegression(C=1e9).fit(logits, labels[:, 0])
    assert (1 / curve.temperature, curve.bias) == pytest.approx((theirs.coef_[0, 0], theirs.intercept_[0]), abs=5e-3)
    assert (curve.temperature, curve.bias) == pytest.approx((2, -1), abs=0.2)


def test_a_bias_a_class_undoes_other_shares_of_the_classes():
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 2, (3000, 3))
    shifted = softmax(logits / 2 + [0, 1, -1], axis=1)
    labels = np.eye(3)[[generator.choice(3, p=row) for row in shifted]]
    calibration = fitted(THREE, labels, logits)
    assert methods(calibration) == ["temperature"] * 3
    np.testing.assert_allclose(calibration.probabilities(logits), shifted, atol=0.05)


@pytest.mark.parametrize(
    ("truth", "method"),
    [
        (expit, "none"),
        (lambda z: expit(z / 3 - 1), "temperature"),
        (lambda z: np.where(z > 0, 0.7, 0.1), "isotonic"),
    ],
)
def test_the_simplest_method_that_holds_is_chosen(truth, method):
    labels, logits = drawn(truth, 1000, seed=6)
    calibration = fitted(MASS, labels, logits)
    assert methods(calibration) == [method]
    _, unseen = drawn(truth, 5000, seed=7)
    assert np.abs(calibration.probabilities(unseen) - truth(unseen)).mean() < 0.03


def test_classes_whose_odds_are_steps_are_isotonic():
    generator = np.random.default_rng(6)
    logits = generator.normal(0, 3, (1500, 3))
    sure = np.where(np.arange(3) == logits.argmax(axis=1)[:, np.newaxis], 0.6, 0.2)
    labels = np.eye(3)[[generator.choice(3, p=row) for row in sure]]
    calibration = fitted(THREE, labels, logits)
    assert methods(calibration) == ["isotonic"] * 3
    probabilities = calibration.probabilities(logits)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.abs(probabilities - sure).mean() < 0.06


def test_images_of_a_group_are_never_on_both_sides_of_a_fold():
    # 12 patients of 20 like images: across patients the logit says nothing, within one it says all
    generator = np.random.default_rng(8)
    labels = np.repeat(generator.permutation([0.0] * 6 + [1.0] * 6), 20)[:, np.newaxis]
    logits = np.repeat(generator.normal(0, 1, 12), 20)[:, np.newaxis]
    patients = np.repeat([f"patient {at}" for at in range(12)], 20).astype(object)
    assert methods(fitted(MASS, labels, logits)) == ["isotonic"]
    assert methods(fitted(MASS, labels, logits, patients)) != ["isotonic"]


def test_each_finding_of_a_multilabel_head_has_its_own_curve():
    step_labels, step_logits = drawn(lambda z: np.where(z > 0, 0.7, 0.1), 500, seed=4)
    labels, logits = drawn(lambda z: expit(z / 3 - 1), 500, seed=4)
    together = fitted(PAIR, np.hstack([labels, step_labels]), np.hstack([logits, step_logits]))
    alone = [fitted(MASS, labels, logits), fitted(MASS, step_labels, step_logits)]
    assert methods(together) == ["temperature", "isotonic"]
    assert together.parts[0].curves == tuple(one.parts[0].curves[0] for one in alone)


@pytest.mark.parametrize("truth", [expit, lambda z: expit(z / 3 - 1), lambda z: np.where(z > 0, 0.7, 0.1)])
def test_a_higher_logit_never_has_a_lower_probability(truth):
    calibration = fitted(MASS, *drawn(truth, 300, seed=9))
    probabilities = calibration.probabilities(np.linspace(-30, 30, 5000)[:, np.newaxis])
    assert (np.diff(probabilities[:, 0]) >= 0).all()


def test_even_where_labels_run_against_the_logits_order_is_kept():
    labels, logits = drawn(lambda z: expit(-2 * z), 300, seed=2)
    probabilities = fitted(MASS, labels, logits).probabilities(np.linspace(-9, 9, 500)[:, np.newaxis])
    assert (np.diff(probabilities[:, 0]) >= 0).all()


def test_a_perfect_ranking_of_few_images_is_not_believed_without_limit():
    logits = np.r_[np.linspace(-1.3, -0.7, 20), np.linspace(0.7, 1.3, 8)][:, np.newaxis]
    # Platt's targets are 9/10 and 1/22
    probabilities = fitted(MASS, (logits > 0).astype(float), logits).probabilities(logits)
    assert probabilities[20:].mean() == pytest.approx(9 / 10, abs=0.01)
    assert probabilities[:20].mean() == pytest.approx(1 / 22, abs=0.01)


@pytest.mark.parametrize(
    ("head", "labels", "logits"), [(MASS, THREE_OF_FOUR, SURE), (THREE, TWO_OF_FOUR, ONE_OF_THREE)]
)
def test_unknown_labels_change_nothing(head, labels, logits):
    unknown = np.full((1, labels.shape[1]), NAN)
    groups = each_alone(labels)
    with_unknown = fitted(
        head, np.vstack([unknown, labels]), np.vstack([-9 * logits[:1], logits]), np.append("x", groups)
    )
    assert with_unknown == fitted(head, labels, logits, groups)


@pytest.mark.parametrize(
    ("head", "labels"),
    [
        (PAIR, [[1, NAN]] * 4 + [[0, NAN]] * 20),
        (PAIR, [[1, 1]] * 20 + [[0, 1]] * 4),
        (THREE, [[1, 0, 0]] * 10 + [[0, 1, 0]] * 10 + [[0, 0, 1]] * 4),
        (THREE, [[NAN, NAN, NAN]] * 20),
    ],
)
def test_fewer_than_five_images_of_a_kind_leave_the_scores_as_they_are(head, labels):
    labels = np.array(labels, float)
    assert fitted(head, labels, np.random.default_rng(1).normal(size=labels.shape)) == uncalibrated([head])


def test_images_of_one_group_leave_the_scores_as_they_are():
    assert fitted(MASS, THREE_OF_FOUR, SURE, np.array(["one"] * 64, object)) == uncalibrated([MASS])


def test_two_groups_make_two_folds():
    patients = np.array(["a", "b"] * 32, object)
    assert methods(fitted(MASS, THREE_OF_FOUR, SURE, patients)) != ["none"]


def test_the_same_seed_gives_the_same_calibration():
    labels, logits = drawn(expit, 60, seed=7)
    assert fitted(MASS, labels, logits, seed=1) == fitted(MASS, labels, logits, seed=1)


def test_a_calibration_survives_json():
    labels, logits = drawn(lambda z: np.where(z > 0, 0.7, 0.1), 500, seed=4)
    isotonic = fitted(MASS, labels, logits).parts[0]
    tempered = HeadCalibration(kind=TaskKind.MULTICLASS, curves=(Temperature(temperature=0.1, bias=1 / 3),) * 3)
    calibration = Calibration(parts=(isotonic, tempered, *uncalibrated([PAIR]).parts))
    read = Calibration.model_validate_json(calibration.model_dump_json())
    assert read == calibration
    assert methods(read) == ["isotonic"] + ["temperature"] * 3 + ["none"] * 2


@pytest.mark.parametrize(
    "curve",
    [
        {"temperature": 0.0},
        {"temperature": -1.0, "bias": 0.0},
        {"temperature": 1.0, "bias": NAN},
        {"temperature": 1.0, "slope": 1.0},
        {"logits": [], "probabilities": []},
        {"logits": [1.0, 0.0], "probabilities": [0.1, 0.2]},
        {"logits": [0.0, 1.0], "probabilities": [0.2, 0.1]},
        {"logits": [0.0, 1.0], "probabilities": [0.2]},
        {"logits": [0.0, 1.0], "probabilities": [0.2, 1.0]},
        {"logits": [0.0, NAN], "probabilities": [0.2, 0.3]},
    ],
)
def test_an_impossible_curve_is_refused(curve):
    with pytest.raises(ValidationError):
        HeadCalibration.model_validate({"kind": "multilabel", "curves": [curve]})


def test_classes_calibrated_by_two_methods_are_refused():
    curves = (Temperature(), Isotonic(logits=(0,), probabilities=(0.5,)))
    with pytest.raises(ValidationError, match="one method for all classes"):
        HeadCalibration(kind=TaskKind.MULTICLASS, curves=curves)


@pytest.mark.parametrize("heads", [[PAIR], [THREE, MASS], [MASS, THREE, MASS], [MASS]])
def test_a_calibration_of_other_heads_is_refused(heads):
    calibration = uncalibrated([MASS, THREE])
    calibration.check_fits([MASS, THREE])
    with pytest.raises(ValueError, match="multilabel of 1, multiclass of 3; fit it for these heads"):
        calibration.check_fits(heads)


def test_logits_of_another_number_of_findings_are_refused():
    with pytest.raises(ValueError, match="zip"):
        uncalibrated([MASS, PAIR]).probabilities(np.zeros((2, 4)))
