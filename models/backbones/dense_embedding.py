"""A dense embedding of a feature map that also tells how it follows from each map."""

from typing import Any

import keras
from keras import layers, ops

from models.backbones.backbone import EMBEDDING, GAIN


@keras.saving.register_keras_serializable(package="thoracic")
class DenseEmbedding(layers.Layer):
    """A feature map (n, h, w, maps) -> `embedding` (n, features), rectified, and `gain` (n, features, maps).

    The gain is the derivative of each feature by each map, averaged over its places: what Grad-CAM weighs maps with
    (Selvaraju et al. 2017), here in closed form. A feature that is cut off at zero has none.

    Args:
        features: of the embedding.
    """

    def __init__(self, features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.features = features

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        _, height, width, maps = input_shape
        self._shape = (height, width, maps)
        places = height * width * maps  # type: ignore[operator]
        self.kernel = self.add_weight(name="kernel", shape=(places, self.features), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(self.features,), initializer="zeros")

    def call(self, feature_map: Any) -> dict[str, Any]:
        flat = ops.reshape(feature_map, (-1, self.kernel.shape[0]))
        embedding = ops.relu(ops.matmul(flat, self.kernel) + self.bias)
        by_place = ops.mean(ops.reshape(self.kernel, (*self._shape, self.features)), axis=(0, 1))
        active = ops.cast(embedding > 0, embedding.dtype)
        return {EMBEDDING: embedding, GAIN: ops.expand_dims(active, -1) * ops.transpose(by_place)}

    def compute_output_spec(self, feature_map: Any) -> dict[str, Any]:
        n, maps = feature_map.shape[0], feature_map.shape[-1]
        return {
            EMBEDDING: keras.KerasTensor((n, self.features), dtype=self.compute_dtype),
            GAIN: keras.KerasTensor((n, self.features, maps), dtype=self.compute_dtype),
        }

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"features": self.features}
