"""The head that turns an embedding into the scores of a task."""

from typing import Any

from models.backbones.backbone import Backbone
from models.findings import Task, TaskKind


def build_network(backbone: Backbone, task: Task) -> Any:
    """A backbone with the task's head on it.

    Returns:
        A Keras model from (n, H, W, C) float32 to a dict: `logits` (n, findings), `scores` (n, findings) in [0, 1]
        (softmax for a multiclass task, sigmoid for a multilabel one) and `embedding` (n, features), all float32.
    """
    import keras
    from keras import layers

    features = backbone.build(backbone.preprocessing.image_shape)
    x = layers.Dropout(backbone.embedding_dropout)(features.output)
    logits = layers.Dense(len(task.findings), name="logits")(x)
    activation = "softmax" if task.kind is TaskKind.MULTICLASS else "sigmoid"
    scores = layers.Activation(activation, name="scores")(logits)
    outputs = {"logits": logits, "scores": scores, "embedding": features.output}
    return keras.Model(features.input, outputs, name=task.name)
