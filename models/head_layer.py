"""The layers that stand on a backbone."""

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="thoracic")
class FindingHead(layers.Layer):
    """Logits of findings, and a heat map of each by the same forward pass.

    A logit is linear in the embedding, so its derivative by a map of the feature map, averaged over the places, is what
    Grad-CAM weighs the map with (Selvaraju et al. 2017): for an embedding that is the mean over the places, the kernel
    itself, divided by the number of places; otherwise the kernel behind the gain. No gradient has to be taken.

    Args:
        findings: how many.
    """

    def __init__(self, findings: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.findings = findings

    def build(self, embedding_shape: Any, feature_map_shape: Any, gain_shape: Any = None) -> None:
        features = embedding_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=(features, self.findings), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(self.findings,), initializer="zeros")

    def call(self, embedding: Any, feature_map: Any, gain: Any = None) -> dict[str, Any]:
        """`logits` (n, findings) and `maps` (n, h, w, findings), not negative, from a feature map (n, h, w, maps)."""
        logits = ops.matmul(embedding, self.kernel) + self.bias
        _, height, width, maps = feature_map.shape
        places = ops.reshape(feature_map, (-1, height * width, maps))
        if gain is None:
            heat = ops.matmul(places, self.kernel) / (height * width)
        else:
            heat = ops.matmul(places, ops.matmul(ops.transpose(gain, (0, 2, 1)), self.kernel))
        return {"logits": logits, "maps": ops.reshape(ops.relu(heat), (-1, height, width, self.findings))}

    def compute_output_spec(self, embedding: Any, feature_map: Any, gain: Any = None) -> dict[str, Any]:
        shapes = {"logits": (embedding.shape[0], self.findings), "maps": (*feature_map.shape[:-1], self.findings)}
        return {name: keras.KerasTensor(shape, dtype=self.compute_dtype) for name, shape in shapes.items()}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"findings": self.findings}


@keras.saving.register_keras_serializable(package="thoracic")
class Mirrored(layers.Layer):
    """A batch (n, H, W, C) behind which its mirror image, left for right, stands: (2n, H, W, C).

    By a slice: what Keras exports `ops.flip` as takes OpenVINO a seventh of the whole network's time.
    """

    def call(self, batch: Any) -> Any:
        return ops.concatenate([batch, batch[:, :, ::-1]], axis=0)


@keras.saving.register_keras_serializable(package="thoracic")
class MirrorMean(layers.Layer):
    """The mean of a batch and its mirror images (2n, ...): (n, ...); maps (2n, h, w, k) are turned back first."""

    def call(self, doubled: Any) -> Any:
        plain, mirrored = ops.split(doubled, 2, axis=0)
        if len(doubled.shape) == 4:
            mirrored = mirrored[:, :, ::-1]
        return (plain + mirrored) / 2


@keras.saving.register_keras_serializable(package="thoracic")
class Scores(layers.Layer):
    """Scores of all heads from their logits side by side: softmax within a multiclass head, sigmoid elsewhere.

    Args:
        heads: (findings, whether multiclass) of each head, in order.
    """

    def __init__(self, heads: list[tuple[int, bool]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = [(int(findings), bool(multiclass)) for findings, multiclass in heads]

    def call(self, logits: Any) -> Any:
        parts, start = [], 0
        for findings, multiclass in self.heads:
            part = logits[:, start : start + findings]
            parts.append(ops.softmax(part, axis=-1) if multiclass else ops.sigmoid(part))
            start += findings
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads}
