"""Reads the tensors of a PyTorch file without PyTorch, and lets its pickles do nothing else.

The format is PyTorch's own from before version 1.6: five pickles in a row (a magic number, a version, a word about the
machine, the named tensors, the keys of their storages), then of each storage its length and its little-endian values.
"""

import pickle
from collections import OrderedDict
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import WeightsError

_BEGINNING = (0x1950A86A20F9469CFC6C, 1001)
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a state dict by name, in its order; float32 or int64, of any shape.

    Raises:
        WeightsError: the file is not there, breaks off, has another format or asks for more than tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except Exception as error:  # a damaged pickle may raise anything
        raise WeightsError(
            weights=path,
            expected="a whole PyTorch file, as versions before 1.6 wrote it, of tensors alone",
            received=f"one that ends the reading with {error!r}",
            remedy="Fetch the file again, unchanged.",
        ) from error


def _read(file: BufferedReader) -> dict[str, NDArray[Any]]:
    magic, version, _machine = (_TensorUnpickler(file).load() for _ in range(3))
    if (magic, version) != _BEGINNING:
        raise pickle.UnpicklingError("another beginning")
    unpickler = _TensorUnpickler(file)
    tensors = unpickler.load()
    for key in _TensorUnpickler(file).load():
        storage = unpickler.storages.pop(key)
        length = int.from_bytes(file.read(8), "little")
        if length != len(storage) or file.readinto(storage.data) != storage.nbytes:
            raise EOFError(f"storage {key} is not whole")
    if unpickler.storages:
        raise EOFError(f"no values of storage {min(unpickler.storages)}")
    return dict(tensors)


def _tensor(
    storage: NDArray[Any], offset: int, shape: Sequence[int], strides: Sequence[int], *_: object
) -> NDArray[Any]:
    """A view of a storage, whose bounds NumPy keeps; offset and strides count values."""
    size = storage.itemsize
    return np.ndarray(shape, storage.dtype, storage.data, offset * size, [stride * size for stride in strides])


_ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("torch", kind): kind for kind in _DTYPES},
}


class _TensorUnpickler(pickle.Unpickler):
    """Makes tensors over storages that are still to be filled.

    Attributes:
        storages: (length,) by key, zeros.
    """

    def __init__(self, file: BufferedReader) -> None:
        super().__init__(file)
        self.storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        _, kind, key, _device, length, _view = pid
        return self.storages.setdefault(key, np.zeros(length, _DTYPES[kind]))
