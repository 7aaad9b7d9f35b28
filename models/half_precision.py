"""Weights of 8 significant bits, and files that hold no more of them than that.

Keras' export multiplies a convolution's kernel by the scale of the batch normalisation behind it, so that the graph's
values have all bits of a float32 again. Each channel is still 8-bit numbers times one number, which is found here.
"""

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_ELEMENTS = 1024
_SIGNIFICANDS = 256.0 * np.arange(128, 256)  # all that a largest value of 8 bits can be, at the upper end of the halves
_ROUNDING = 2.0**-21  # relative; a few float32 operations made the graph's values
_NEGLIGIBLE = 2.0**-19  # of the largest value: below, halves lose digits, 2 ** -40 of the largest


def round_weights(network: Any) -> None:
    """Rounds each kernel of a Keras network in place to 8 significant bits, as bfloat16 keeps, half to even.

    Kernels are the float32 weights of two and more dimensions with at least 1,024 elements; biases and whatever belongs
    to a normalisation stay as they are.
    """
    from keras import ops

    for weight in network.weights:
        if weight.dtype == "float32" and len(weight.shape) > 1 and np.prod(weight.shape) >= _LEAST_ELEMENTS:
            weight.assign(ops.cast(ops.cast(weight, "bfloat16"), "float32"))


def compact_graph(path: Path) -> None:
    """Rewrites an ONNX file with its kernels as halves; engines turn them into float32 when they load the graph.

    An initializer of at least 1,024 float32 becomes Mul(Cast(halves), scales), with one scale an index of its first
    axis, where that gives its values back to within float32's own rounding; any other stays as it is.

    Raises:
        OSError: the disk is full or not writable; the file stays as it was.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    initializers, nodes = [], []
    for initializer in model.graph.initializer:
        name = initializer.name
        factors = _halves_and_scales(numpy_helper.to_array(initializer))
        if factors is None:
            initializers.append(initializer)
            continue
        halves, scales, cast = f"{name}/halves", f"{name}/scales", f"{name}/cast"
        initializers += [numpy_helper.from_array(*pair) for pair in zip(factors, (halves, scales), strict=True)]
        nodes.append(helper.make_node("Cast", [halves], [cast], to=onnx.TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [cast, scales], [name]))
    nodes += model.graph.node
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(initializers)
    model.graph.node.extend(nodes)
    _replace(path, lambda draft: onnx.save(model, draft))


def compact_keras(path: Path) -> None:
    """Rewrites a `.keras` file, which is a zip archive, with LZMA compression; Keras reads it as before.

    Raises:
        OSError: the disk is full or not writable; the file stays as it was.
    """

    def compress(draft: Path) -> None:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(draft, "w") as target:
            for member in source.infolist():
                target.writestr(member, source.read(member), zipfile.ZIP_LZMA)

    _replace(path, compress)


def _halves_and_scales(values: NDArray[Any]) -> tuple[NDArray[np.float16], NDArray[np.float32]] | None:
    """Halves (n, ...) and scales (n, 1, ...) whose product is `values` (n, ...) float32; None where there are none.

    In a row of 8-bit numbers times one scale, the largest is one of 128 numbers times the scale: each is tried.
    """
    if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST_ELEMENTS:
        return None
    rows = values.reshape(len(values), -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    halves, scales = np.zeros(rows.shape, np.float16), np.ones(largest.shape, np.float32)
    left = np.flatnonzero(largest)
    for significand in _SIGNIFICANDS:
        row, scale = rows[left], (largest[left] / significand).astype(np.float32)
        half = (row * (significand / largest[left])).astype(np.float16)
        error = np.abs(half.astype(np.float32) * scale - row)
        fits = (error <= _ROUNDING * np.maximum(np.abs(row), _NEGLIGIBLE * largest[left])).all(axis=1)
        halves[left[fits]], scales[left[fits]] = half[fits], scale[fits]
        left = left[~fits]
    if left.size:
        return None
    return halves.reshape(values.shape), scales.reshape(-1, *[1] * (values.ndim - 1))


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Puts what `write` writes in the place of `path`, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
        draft = Path(scratch) / path.name
        write(draft)
        draft.replace(path)
