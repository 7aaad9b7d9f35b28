"""Gives a backbone weights: by chance, from ImageNet, from a file or from a bundle; all of them or none."""

import warnings
from itertools import zip_longest
from pathlib import Path
from textwrap import shorten
from typing import Any

from models.backbones.imagenet import load_imagenet
from models.backbones.keras_applications import APPLICATIONS, download_imagenet
from models.bundle import KERAS_MODEL, read_manifest
from models.errors import WeightsError
from models.heads import BACKBONE
from models.preprocessing import Preprocessor

_WHOLE_MODEL, _ONLY_WEIGHTS = ".keras", ".weights.h5"
_LONGEST_REASON = 400


def load_weights(name: str, network: Any, weights: str, preprocessing: Preprocessor) -> None:
    """Gives a backbone the weights that it begins with.

    Args:
        name: of the backbone in `BACKBONES`.
        network: what its `build` gave; left as it was where an error is raised.
        weights: "none" leaves it as it is; "imagenet"; a `.weights.h5` file of the backbone alone; a `.keras` file of
            the backbone or of a network whose layer `backbone` it is; or the folder of a bundle.
        preprocessing: of what the network will see; a bundle must have learnt from grey on the same scale.

    Raises:
        WeightsError: there are no such weights, they are damaged, or they belong to another network.
        BundleFormatError, BundleDigestError: the bundle is not whole, see `read_manifest`.
    """
    if weights == "none":
        return
    if weights == "imagenet":
        _load_imagenet(name, network)
        return
    path = Path(weights)
    if path.is_dir():
        _check_bundle(name, path, preprocessing)
        path /= KERAS_MODEL
    if not path.is_file():
        raise _refused(path, "a file or a bundle's folder", "none", "Mend the path; it starts at the project's folder.")
    if path.name.endswith(_ONLY_WEIGHTS):
        _load_arrays(network, path)
    elif path.suffix == _WHOLE_MODEL:
        _transfer(_saved_backbone(path), network, path)
    else:
        kinds = f"a {_WHOLE_MODEL} file, a {_ONLY_WEIGHTS} file or a bundle's folder"
        raise _refused(path, kinds, f"a file of the kind {path.suffix!r}", "Save the weights with Keras 3.")


def _load_imagenet(name: str, network: Any) -> None:
    if name == "efficientnet_lite0":
        load_imagenet(network)
    elif name in APPLICATIONS:
        _transfer(download_imagenet(name), network, f"ImageNet's weights of {name}")
    else:
        known = ", ".join(["efficientnet_lite0", *APPLICATIONS])
        raise _refused("imagenet", f"a backbone that ImageNet taught ({known})", name, "Set weights to none or a path.")


def _check_bundle(name: str, path: Path, preprocessing: Preprocessor) -> None:
    manifest, _ = read_manifest(path)
    learnt = manifest.preprocessing
    expected, received = (
        f"{backbone} that sees grey * {seen.scale} + {seen.offset} in {seen.channels} channels"
        for backbone, seen in ((name, preprocessing), (manifest.training.backbone, learnt))
    )
    if received != expected:
        raise _refused(path, expected, received, "Set backbone to the bundle's, or choose other weights.")


def _load_arrays(network: Any, path: Path) -> None:
    before = network.get_weights()
    try:
        with warnings.catch_warnings():
            # Keras warns of arrays that it cannot place before it raises an error that names them.
            warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
            network.load_weights(path)
    except Exception as error:  # a damaged file may raise anything
        network.set_weights(before)
        raise _refused(
            path,
            f"the whole weights of {network.name}",
            _reason(error),
            "See that backbone is what the file was saved of.",
        ) from error


def _saved_backbone(path: Path) -> Any:
    """The backbone of a saved network, or the saved network itself where it has no layer of that name."""
    import keras
    import keras_cv  # noqa: F401 - registers its layers

    import models.backbones.dense_embedding
    import models.head_layer  # noqa: F401 - both register theirs

    try:
        saved = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged file may raise anything
        raise _refused(
            path, "a whole network, saved by Keras 3", _reason(error), "Fetch or make the file again."
        ) from error
    return next((layer for layer in saved.layers if layer.name == BACKBONE), saved)


def _transfer(source: Any, network: Any, weights: object) -> None:
    """Each array of one network becomes that of the other; Keras' own names of layers differ, their order does not."""
    for theirs, mine in zip_longest(source.weights, network.weights):
        if theirs is None or mine is None or theirs.shape != mine.shape:
            raise _refused(
                weights,
                _described(mine),
                _described(theirs),
                "See that backbone and its size are those of the weights.",
            )
    network.set_weights(source.get_weights())


def _described(variable: Any) -> str:
    return "no further array" if variable is None else f"{variable.path} of shape {tuple(variable.shape)}"


def _reason(error: Exception) -> str:
    """Keras' reasons run over many lines."""
    return f"one that ends the reading with {shorten(f'{type(error).__name__}: {error}', _LONGEST_REASON)}"


def _refused(weights: object, expected: str, received: str, remedy: str) -> WeightsError:
    return WeightsError(weights=weights, expected=expected, received=received, remedy=remedy)
