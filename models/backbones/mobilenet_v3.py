"""MobileNetV3 (Howard et al. 2019), small and large, through keras-cv; the embedding is the pooled last convolution."""

from typing import Any

from models.backbones.backbone import Backbone, pooled
from models.preprocessing import Preprocessor


def _build_small(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, 3), the byte value b as b / 127.5 - 1 -> (n, 576)."""
    import keras_cv

    network = keras_cv.models.MobileNetV3Backbone(
        stackwise_expansion=[1, 72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6],
        stackwise_filters=[16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96],
        stackwise_kernel_size=[3] * 3 + [5] * 8,
        stackwise_stride=[2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1],
        stackwise_se_ratio=[0.25, None, None] + [0.25] * 8,
        stackwise_activation=["relu"] * 3 + ["hard_swish"] * 8,
        include_rescaling=False,
        input_shape=image_shape,
    )
    return pooled(_loadable(network), "mobilenet_v3_small")


def _build_large(image_shape: tuple[int, int, int]) -> Any:
    """(n, H, W, 3), the byte value b as b / 127.5 - 1 -> (n, 960)."""
    import keras_cv

    network = keras_cv.models.MobileNetV3Backbone(
        stackwise_expansion=[1, 4, 3, 3, 3, 3, 6, 2.5, 2.3, 2.3, 6, 6, 6, 6, 6],
        stackwise_filters=[16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160],
        stackwise_kernel_size=[3] * 3 + [5] * 3 + [3] * 6 + [5] * 3,
        stackwise_stride=[1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1],
        stackwise_se_ratio=[None] * 3 + [0.25] * 3 + [None] * 4 + [0.25] * 5,
        stackwise_activation=["relu"] * 6 + ["hard_swish"] * 9,
        include_rescaling=False,
        input_shape=image_shape,
    )
    return pooled(_loadable(network), "mobilenet_v3_large")


def _loadable(network: Any) -> Any:
    """The network, fit to be saved and loaded again, which keras-cv's squeeze-and-excitation layers are not.

    Their hard sigmoid, the same function as Keras' own, cannot be made from its own configuration; and they warn when
    they are built before they are called, as a saved shape makes Keras do.
    """
    import keras
    import keras_cv

    for layer in network.layers:
        if isinstance(layer, keras_cv.layers.SqueezeAndExcite2D):
            layer.excite_activation = "hard_sigmoid"
            layer.excite_conv.activation = keras.activations.hard_sigmoid
            layer.get_build_config = lambda: None
    return network


_PREPROCESSING = Preprocessor(height_px=224, width_px=224, scale=2.0, offset=-1.0)
MOBILENET_V3_SMALL = Backbone(build=_build_small, preprocessing=_PREPROCESSING, embedding_dropout=0.2)
MOBILENET_V3_LARGE = Backbone(build=_build_large, preprocessing=_PREPROCESSING, embedding_dropout=0.2)
