"""The small CNN every other network is compared with: two convolutions, two poolings and a dense layer."""

from typing import Any

from models.backbones.backbone import FEATURE_MAP, Backbone
from models.preprocessing import Preprocessor


def _build(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, C) in [0, 1] -> (n, 128)."""
    import keras
    from keras import layers

    from models.backbones.dense_embedding import DenseEmbedding

    radiograph = keras.Input(image_shape, name="radiograph")
    x = layers.Conv2D(32, 3, activation="relu")(radiograph)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    feature_map = layers.MaxPooling2D(2, name=FEATURE_MAP)(x)
    embedded = DenseEmbedding(128, name="dense_embedding")(feature_map)
    return keras.Model(radiograph, embedded | {FEATURE_MAP: feature_map}, name="baseline_cnn")


BASELINE_CNN = Backbone(build=_build, preprocessing=Preprocessor(height_px=150, width_px=150), embedding_dropout=0.5)
