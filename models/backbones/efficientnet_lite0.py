"""EfficientNet-Lite0 (Tan and Le 2019, the variant without squeeze-and-excitation), through keras-cv."""

from typing import Any

from models.backbones.backbone import Backbone, pooled
from models.preprocessing import Preprocessor


def _build(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, 3), the byte value b as (b - 127) / 128 -> (n, 1280)."""
    import keras_cv

    # Explicit arguments of the B0 table: keras-cv's presets download when they are built.
    network = keras_cv.models.EfficientNetLiteBackbone(
        include_rescaling=False,
        width_coefficient=1.0,
        depth_coefficient=1.0,
        stackwise_kernel_sizes=[3, 3, 5, 3, 5, 5, 3],
        stackwise_num_repeats=[1, 2, 2, 3, 3, 4, 1],
        stackwise_input_filters=[32, 16, 24, 40, 80, 112, 192],
        stackwise_output_filters=[16, 24, 40, 80, 112, 192, 320],
        stackwise_expansion_ratios=[1, 6, 6, 6, 6, 6, 6],
        stackwise_strides=[1, 2, 2, 2, 1, 2, 1],
        input_shape=image_shape,
    )
    return pooled(network, "efficientnet_lite0")


EFFICIENTNET_LITE0 = Backbone(
    build=_build,
    preprocessing=Preprocessor(height_px=224, width_px=224, scale=255 / 128, offset=-127 / 128),
    embedding_dropout=0.2,
)
