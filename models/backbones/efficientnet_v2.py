"""EfficientNetV2 (Tan and Le 2021) in the sizes B0 and S, through keras-cv."""

from typing import Any

from models.backbones.backbone import Backbone, pooled
from models.preprocessing import Preprocessor


def _build_b0(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, 3), grey in [0, 1] as (grey - 0.449) / 0.226 -> (n, 1280)."""
    return pooled(_network(image_shape, [1, 2, 2, 3, 5, 8], [32, 16, 32, 48, 96, 112, 192]), "efficientnet_v2_b0")


def _build_s(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, 3), the byte value b as (b - 128) / 128 -> (n, 1280)."""
    return pooled(_network(image_shape, [2, 4, 4, 6, 9, 15], [24, 24, 48, 64, 128, 160, 256]), "efficientnet_v2_s")


def _network(image_shape: tuple[int, int, int], repeats: list[int], filters: list[int]) -> Any:
    """What stands before the pooling, of six stages: blocks in each; filters of the stem and of each."""
    import keras_cv

    return keras_cv.models.EfficientNetV2Backbone(
        include_rescaling=False,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        stackwise_kernel_sizes=[3, 3, 3, 3, 3, 3],
        stackwise_num_repeats=repeats,
        stackwise_input_filters=filters[:-1],
        stackwise_output_filters=filters[1:],
        stackwise_expansion_ratios=[1, 4, 4, 4, 6, 6],
        stackwise_squeeze_and_excite_ratios=[0, 0, 0, 0.25, 0.25, 0.25],
        stackwise_strides=[1, 2, 2, 2, 1, 2],
        stackwise_conv_types=["fused", "fused", "fused", "unfused", "unfused", "unfused"],
        input_shape=image_shape,
    )


# The means over the channels of ImageNet's means, (0.485, 0.456, 0.406), and deviations, (0.229, 0.224, 0.225): a grey
# image has one value where a photograph has three.
EFFICIENTNET_V2_B0 = Backbone(
    build=_build_b0,
    preprocessing=Preprocessor(height_px=224, width_px=224, scale=1 / 0.226, offset=-0.449 / 0.226),
    embedding_dropout=0.2,
)
# 300 px is the largest size that the authors trained S with.
EFFICIENTNET_V2_S = Backbone(
    build=_build_s,
    preprocessing=Preprocessor(height_px=300, width_px=300, scale=255 / 128, offset=-1.0),
    embedding_dropout=0.2,
)
