"""A backbone with the head of each task: what it puts out, and how the outputs belong together."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from models.backbones import find_backbone
from models.findings import TASKS, TaskKind, find_task
from models.heads import build_network


@pytest.fixture(scope="module", params=TASKS.values(), ids=TASKS)
def task_and_network(request):
    return request.param, build_network(find_backbone("baseline_cnn"), request.param)


def test_outputs_are_logits_scores_and_embedding(task_and_network, noise):
    task, network = task_and_network
    outputs = {name: np.asarray(value) for name, value in network(noise.random((2, 150, 150, 3), "float32")).items()}
    findings = len(task.findings)
    assert {name: value.shape for name, value in outputs.items()} == {
        "logits": (2, findings),
        "scores": (2, findings),
        "embedding": (2, 128),
    }
    assert {value.dtype.name for value in outputs.values()} == {"float32"}
    expected = softmax(outputs["logits"], axis=1) if task.kind is TaskKind.MULTICLASS else expit(outputs["logits"])
    np.testing.assert_allclose(outputs["scores"], expected, atol=1e-6)
    assert not np.allclose(*outputs["scores"], atol=1e-7)


def test_the_head_of_the_baseline_is_dropout_of_a_half_and_a_dense_softmax():
    network = build_network(find_backbone("baseline_cnn"), find_task("pneumonia"))
    dropout, dense, activation = network.layers[-3:]
    assert (type(dropout).__name__, dropout.rate) == ("Dropout", 0.5)
    assert (type(dense).__name__, dense.units, dense.activation.__name__) == ("Dense", 3, "linear")
    assert activation.activation.__name__ == "softmax"
    # 896 + 18,496 + 10,616,960 of the backbone, 128 * 3 + 3 of the head
    assert network.count_params() == 10_636_739


def test_dropout_is_for_training_only_and_never_drops_the_embedding_itself(small_network, noise):
    batch = noise.random((4, 20, 20, 3), "float32")
    plain, again, training = (small_network(batch, training=training) for training in (False, False, True))
    assert np.array_equal(plain["logits"], again["logits"])
    assert np.array_equal(plain["embedding"], training["embedding"])
    assert not np.allclose(plain["logits"], training["logits"], atol=1e-4)
