import numpy as np
import pandas as pd
import pytest

from models.errors import LabelsError
from models.findings import Head, find_task
from pipelines.labels import heads_of, labels_of, weights_of
from pipelines.params import HeadSettings

THORACIC, PNEUMONIA = find_task("thoracic"), find_task("pneumonia")
NAN = np.nan


def table(task=THORACIC, **columns):
    """Rows of a split table; findings that are not named are not labelled."""
    length = len(next(iter(columns.values())))
    rows = pd.DataFrame({"source": ["a"] * length, "split": ["train"] * length} | dict.fromkeys(task.findings, NAN))
    return rows.assign(**{name.replace("_", " "): values for name, values in columns.items()})


def test_without_heads_there_is_one_of_all_findings_that_can_be_learnt():
    rows = table(Effusion=[1, 0, NAN], Nodule=[0, 1, 1], Mass=[0, 0, 0], Edema=[1, NAN, NAN])
    (head,) = heads_of(THORACIC, [], rows)
    assert head == Head(name="thoracic", kind="multilabel", findings=("Effusion", "Nodule"))


def test_only_training_images_make_a_finding_learnable():
    rows = table(Effusion=[1, 0, 0], Nodule=[0, 1, 1], split=["train", "train", "test"])
    rows.loc[1, "Nodule"] = 0
    assert heads_of(THORACIC, [], rows)[0].findings == ("Effusion",)


def test_a_multiclass_task_of_which_a_class_is_missing_is_refused():
    rows = table(PNEUMONIA, Normal=[1, 0], Bacterial_Pneumonia=[0, 1], Viral_Pneumonia=[0, 0])
    with pytest.raises(LabelsError, match="no training image, or every one, shows Viral Pneumonia"):
        heads_of(PNEUMONIA, [], rows)


def test_heads_stand_in_the_order_of_params_yaml():
    rows = table(Effusion=[1, 0], Nodule=[0, 1])
    settings = [HeadSettings(name="one", findings=["Nodule"]), HeadSettings(name="two", findings=["Effusion"])]
    assert [head.name for head in heads_of(THORACIC, settings, rows)] == ["one", "two"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"findings": ["Hernia"]}, "head h: Hernia has no known positive among the training images of any source"),
        ({"findings": ["Mass"]}, "head h: Mass has no known positive"),
        ({"findings": ["Edema"]}, "head h: Edema has no known negative"),
        ({"findings": ["Effusion"], "sources": ["b"]}, "head h: Effusion has no known positive .* of b"),
        ({"findings": ["Effusion"], "sources": ["c"]}, "head h: source 'c' has no training image"),
        ({"findings": ["Normal"]}, "head h: 'Normal' is no finding of this task"),
    ],
)
def test_a_head_that_nothing_can_teach_is_refused(settings, sentence):
    rows = table(Effusion=[1, 0, 0], Mass=[0, 0, NAN], Edema=[1, 1, NAN], source=["a", "a", "b"])
    with pytest.raises(LabelsError, match=sentence):
        heads_of(THORACIC, [HeadSettings(name="h", **settings)], rows)


def test_a_finding_in_two_heads_is_refused():
    rows = table(Effusion=[1, 0])
    settings = [HeadSettings(name=name, findings=["Effusion"]) for name in ("one", "two")]
    with pytest.raises(LabelsError, match="each finding in one head"):
        heads_of(THORACIC, settings, rows)


def test_a_source_that_does_not_train_a_head_gives_it_no_labels():
    rows = table(Effusion=[1, 0, 1], Tuberculosis=[0, 0, 1], source=["nih", "nih", "shenzhen"])
    settings = [
        HeadSettings(name="nih", findings=["Effusion"], sources=["nih"]),
        HeadSettings(name="tb", findings=["Tuberculosis"], sources=["shenzhen"]),
    ]
    heads = (
        Head(name="nih", kind="multilabel", findings=("Effusion",)),
        Head(name="tb", kind="multilabel", findings=("Tuberculosis",)),
    )
    np.testing.assert_array_equal(labels_of(heads, settings, rows), [[1, NAN], [0, NAN], [NAN, 1]])


ONE = (Head(name="one", kind="multilabel", findings=("Effusion",)),)


def test_an_unknown_label_weighs_nothing_and_the_known_ones_make_up_for_it():
    labels = np.array([[1], [0], [NAN], [NAN]], np.float32)
    np.testing.assert_allclose(weights_of(ONE, labels, ["a"] * 4, 0, 0), [[2], [2], [0], [0]])


def test_full_class_balance_lets_positives_weigh_as_much_as_negatives():
    labels = np.array([[1], [0], [0], [0]], np.float32)
    weights = weights_of(ONE, labels, ["a"] * 4, 1, 0)
    np.testing.assert_allclose(weights, [[2], [2 / 3], [2 / 3], [2 / 3]], rtol=1e-6)


def test_full_source_balance_lets_a_small_source_weigh_as_much_as_a_large_one():
    labels = np.array([[1], [0], [1], [0]], np.float32)
    weights = weights_of(ONE, labels, ["large", "large", "large", "small"], 0, 1)
    np.testing.assert_allclose(weights, [[2 / 3], [2 / 3], [2 / 3], [2]], rtol=1e-6)


def test_classes_of_a_multiclass_head_are_evened_out_by_image():
    head = (Head(name="three", kind="multiclass", findings=PNEUMONIA.findings),)
    labels = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 2, 2]]
    weights = weights_of(head, labels, ["a"] * 6, 1, 0)
    np.testing.assert_allclose(weights[:, 0], [2 / 3, 2 / 3, 2 / 3, 2, 1, 1], rtol=1e-6)
    assert (weights == weights[:, :1]).all()


def test_a_finding_without_any_label_weighs_nothing():
    assert not weights_of(ONE, np.full((3, 1), NAN, np.float32), ["a"] * 3, 1, 1).any()
