"""What ImageNet taught the architectures that Keras has too: weights that Keras downloads.

A network of keras.applications and the one of keras-cv that stands here hold the same arrays in the same order.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from models.errors import WeightsError

APPLICATIONS: Mapping[str, str] = MappingProxyType(
    {
        "efficientnet_v2_b0": "EfficientNetV2B0",
        "efficientnet_v2_s": "EfficientNetV2S",
        "densenet121": "DenseNet121",
        "resnet50_v2": "ResNet50V2",
        "mobilenet_v3_small": "MobileNetV3Small",
        "mobilenet_v3_large": "MobileNetV3Large",
    }
)
"""Names in keras.applications by names in `BACKBONES`."""

_IMAGENET_SHAPE = (224, 224, 3)


def download_imagenet(name: str) -> Any:
    """The network of keras.applications with its ImageNet weights, from Keras' cache or else from the network.

    Args:
        name: a key of `APPLICATIONS`.

    Raises:
        WeightsError: there is no way to Keras' server.
    """
    import keras

    application = APPLICATIONS[name]
    try:
        return getattr(keras.applications, application)(
            include_top=False, weights="imagenet", input_shape=_IMAGENET_SHAPE
        )
    except Exception as error:  # Keras raises a bare one where a download fails
        raise WeightsError(
            weights=f"ImageNet's weights of {name}",
            expected="Keras' download of them",
            received=f"{error}: no download is possible here",
            remedy=(
                "Set weights to none, or to a path: where there is a network, "
                f'keras.applications.{application}(include_top=False).save("{name}.keras") writes a file that fits.'
            ),
        ) from error
