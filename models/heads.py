"""The heads that turn a backbone's embedding into scores of findings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.backbones.backbone import EMBEDDING, FEATURE_MAP, GAIN, Backbone
from models.findings import Head, TaskKind
from models.preprocessing import Preprocessor

BACKBONE, HEAD = "backbone", "findings"
"""Names of the two layers of every network that hold weights."""


@dataclass(frozen=True, slots=True)
class Network:
    """One set of weights, seen two ways.

    Attributes:
        learner: a Keras model from (n, H, W, C) float32 to logits (n, findings) float32, with dropout while it learns.
        answerer: a Keras model from the same input to a dict of float32: `logits` (n, findings), `scores` (n, findings)
            in [0, 1], `embedding` (n, features) and `maps` (n, h, w, findings), each finding's Grad-CAM.
    """

    learner: Any
    answerer: Any


def build_network(
    backbone: Backbone, heads: Sequence[Head], preprocessing: Preprocessor, mirror_mean: bool = False
) -> Network:
    """A backbone with heads on it, which share it.

    Args:
        backbone: to build, with weights by chance.
        heads: whose findings stand side by side, in order.
        preprocessing: of the input.
        mirror_mean: whether the answer is the mean over the image and its mirror image.
    """
    import keras
    from keras import layers

    from models.head_layer import FindingHead, Mirrored, MirrorMean, Scores

    features = backbone.build(preprocessing.image_shape)
    features.name = BACKBONE
    head = FindingHead(sum(len(one.findings) for one in heads), name=HEAD)

    radiograph = keras.Input(preprocessing.image_shape, name="radiograph")
    seen = features(radiograph)
    dropped = layers.Dropout(backbone.embedding_dropout)(seen[EMBEDDING])
    # TensorFlow leaves out the maps that nobody asks for; Keras would mix up calls with other arguments.
    learner = keras.Model(radiograph, head(dropped, seen[FEATURE_MAP], seen.get(GAIN))["logits"], name="learner")

    radiograph = keras.Input(preprocessing.image_shape, name="radiograph")
    seen = features(Mirrored()(radiograph) if mirror_mean else radiograph, training=False)
    answers = head(seen[EMBEDDING], seen[FEATURE_MAP], seen.get(GAIN)) | {EMBEDDING: seen[EMBEDDING]}
    if mirror_mean:
        answers = {name: MirrorMean()(answer) for name, answer in answers.items()}
    kinds = [(len(one.findings), one.kind is TaskKind.MULTICLASS) for one in heads]
    answers["scores"] = Scores(kinds, name="activation")(answers["logits"])
    # ONNX gets its outputs' names from these layers.
    outputs = {name: layers.Identity(name=name)(answer) for name, answer in answers.items()}
    return Network(learner, keras.Model(radiograph, outputs, name="answerer"))
