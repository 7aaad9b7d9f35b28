"""ResNet50V2 (He et al. 2016, identity mappings), through keras-cv."""

from typing import Any

from models.backbones.backbone import Backbone, pooled
from models.preprocessing import Preprocessor


def _build(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, 3), the byte value b as b / 127.5 - 1 -> (n, 2048)."""
    import keras_cv

    network = keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[3, 4, 6, 3],
        # In the last block of a stack, as in keras.applications, whose ImageNet weights these strides are for.
        stackwise_strides=[2, 2, 2, 1],
        include_rescaling=False,
        input_shape=image_shape,
    )
    return pooled(network, "resnet50_v2")


# At sides of 32 k + 1 px, keras-cv's "same" padding is what ImageNet's weights learnt with, the same on both sides; at
# 224 px it lies to one side, and each strided block adds features that are a pixel apart.
RESNET50_V2 = Backbone(
    build=_build,
    preprocessing=Preprocessor(height_px=225, width_px=225, scale=2.0, offset=-1.0),
    embedding_dropout=0.0,
)
