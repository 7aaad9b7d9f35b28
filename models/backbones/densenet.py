"""DenseNet121 (Huang et al. 2017), through keras-cv."""

from typing import Any

from models.backbones.backbone import Backbone, pooled
from models.preprocessing import Preprocessor


def _build(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, 3), grey in [0, 1] as (grey - 0.449) / 0.226 -> (n, 1024)."""
    import keras_cv

    network = keras_cv.models.DenseNetBackbone(
        stackwise_num_repeats=[6, 12, 24, 16],
        compression_ratio=0.5,
        growth_rate=32,
        include_rescaling=False,
        input_shape=image_shape,
    )
    return pooled(network, "densenet121")


# The means over the channels of ImageNet's means, (0.485, 0.456, 0.406), and deviations, (0.229, 0.224, 0.225): a grey
# image has one value where a photograph has three. At sides of 32 k + 1 px, keras-cv's "same" padding is what
# ImageNet's weights learnt with, the same on both sides; at 224 px it lies to one side.
DENSENET121 = Backbone(
    build=_build,
    preprocessing=Preprocessor(height_px=225, width_px=225, scale=1 / 0.226, offset=-0.449 / 0.226),
    embedding_dropout=0.0,
)
