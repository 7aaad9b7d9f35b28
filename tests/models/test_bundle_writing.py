"""A bundle is written whole or not at all, on disks that are really full or really closed."""

import hashlib
import resource
import shutil
import subprocess

import numpy as np
import pytest

from models.bundle import load_bundle
from models.bundle_writing import check_parity, export_network, write_bundle
from models.errors import BundleWriteError, ParityError

PLENTY_BYTES = 4_000_000  # model.keras has 412 kB here, model.onnx 377 kB


@pytest.fixture
def disk(tmp_path):
    """A folder and what leaves it so many bytes of room: on a file system of its own where root may mount one;
    elsewhere no single file may take more than half of them."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode == 0:

        def leave(room_bytes):
            size = shutil.disk_usage(folder).used + room_bytes
            subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)

        yield folder, leave
        subprocess.run(["umount", folder], check=True)
    else:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        yield folder, lambda room_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes // 2, hard))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def content(folder):
    """Every file below a folder, hidden ones too, with its hash."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_says_what_to_do(error, path):
    assert error.values["path"] == path
    assert error.values["reason"] in {"No space left on device", "File too large"}  # full; over the limit
    assert "free space" in str(error)


def test_an_export_is_the_network_twice(exported):
    import keras

    assert set(content(exported)) == {"model.keras", "model.onnx"}
    network = keras.saving.load_model(exported / "model.keras")
    check_parity(network, exported / "model.onnx", np.random.default_rng(1).random((2, 150, 150, 3), "float32"))


@pytest.mark.parametrize("room_bytes", [8_000, 200_000, 600_000])  # within the first, and within the second file
def test_a_full_disk_stops_an_export_and_leaves_the_older_one(room_bytes, disk, small_network):
    folder, leave = disk
    export_network(small_network, folder)
    before = content(folder)
    leave(room_bytes)
    with pytest.raises(BundleWriteError) as caught:
        export_network(small_network, folder)
    assert_says_what_to_do(caught.value, folder)
    assert content(folder) == before
    assert list(folder.iterdir()) == [folder / name for name in before]
    leave(PLENTY_BYTES)
    export_network(small_network, folder)
    assert content(folder).keys() == before.keys()


def test_a_full_disk_leaves_nothing_of_a_first_export(disk, small_network):
    folder, leave = disk
    (folder / "ballast").write_bytes(bytes(4096))
    leave(4096)
    with pytest.raises(BundleWriteError):
        export_network(small_network, folder)
    assert [path.name for path in folder.iterdir()] == ["ballast"]


@pytest.mark.parametrize("room_bytes", [8_000, 200_000, 600_000])
def test_a_full_disk_stops_a_bundle_and_leaves_the_older_one(room_bytes, disk, small_exported, small_manifest):
    folder, leave = disk
    write_bundle(folder / "pneumonia", small_exported, small_manifest)
    before, digest = content(folder), load_bundle(folder / "pneumonia").digest
    newer = small_manifest.model_copy(update={"operating_points": (0.1, 0.1, 0.1)})
    leave(room_bytes)
    with pytest.raises(BundleWriteError) as caught:
        write_bundle(folder / "pneumonia", small_exported, newer)
    assert_says_what_to_do(caught.value, folder / "pneumonia")
    assert content(folder) == before
    assert list(folder.iterdir()) == [folder / "pneumonia"]
    assert load_bundle(folder / "pneumonia").digest == digest
    leave(PLENTY_BYTES)
    write_bundle(folder / "pneumonia", small_exported, newer)
    assert load_bundle(folder / "pneumonia").manifest.operating_points == (0.1, 0.1, 0.1)


def test_a_full_disk_leaves_nothing_of_a_first_bundle(disk, small_exported, small_manifest):
    folder, leave = disk
    (folder / "ballast").write_bytes(bytes(4096))
    leave(600_000)
    with pytest.raises(BundleWriteError):
        write_bundle(folder / "pneumonia", small_exported, small_manifest)
    assert [path.name for path in folder.iterdir()] == ["ballast"]


def test_a_missing_parent_is_made(tmp_path, small_exported, small_manifest):
    path = tmp_path / "data" / "bundles" / "pneumonia"
    written = write_bundle(path, small_exported, small_manifest)
    assert load_bundle(path).manifest == written
    assert list(path.parent.iterdir()) == [path]


def test_the_manifest_lists_the_hash_of_every_other_file(small_bundle, small_exported):
    found = content(small_bundle)
    assert found.keys() == {"bundle.json", "model.keras", "model.onnx", "MODEL_CARD.md"}
    assert load_bundle(small_bundle).manifest.files == {name: found[name] for name in found if name != "bundle.json"}
    assert {name: found[name] for name in ("model.keras", "model.onnx")} == content(small_exported)


def test_the_same_manifest_is_the_same_bundle(tmp_path, small_exported, small_manifest):
    for name in ("one", "two"):
        write_bundle(tmp_path / name, small_exported, small_manifest)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_newer_bundle_replaces_the_older_one(small_bundle, small_exported, small_manifest):
    (small_bundle / "stale").write_text("of the older bundle")
    newer = small_manifest.model_copy(update={"operating_points": (0.1, 0.1, 0.1)})
    write_bundle(small_bundle, small_exported, newer)
    assert load_bundle(small_bundle).manifest.operating_points == (0.1, 0.1, 0.1)
    assert not (small_bundle / "stale").exists()
    assert list(small_bundle.parent.glob(".*")) == []


@pytest.fixture(params=["a file", "the kernel's folder"])
def closed(request, tmp_path):
    """A parent below which nobody may write, not even root."""
    if request.param == "the kernel's folder":
        return "/proc" / tmp_path.relative_to("/")
    (tmp_path / "file").write_text("no folder")
    return tmp_path / "file" / "data"


def test_where_nothing_may_be_written_no_bundle_is(closed, small_exported, small_manifest):
    with pytest.raises(BundleWriteError, match="may be written to") as caught:
        write_bundle(closed / "pneumonia", small_exported, small_manifest)
    assert caught.value.values["path"] == closed / "pneumonia"


def test_where_nothing_may_be_written_no_network_is(closed, small_network):
    with pytest.raises(BundleWriteError, match="may be written to"):
        export_network(small_network, closed)


def test_what_was_never_exported_is_not_bundled(tmp_path, small_manifest):
    (tmp_path / "exported").mkdir()
    with pytest.raises(BundleWriteError, match="No such file"):
        write_bundle(tmp_path / "pneumonia", tmp_path / "exported", small_manifest)
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]


def test_a_mistake_in_the_network_is_not_blamed_on_the_disk(tmp_path):
    import keras

    class Forgetful(keras.layers.Layer):
        def __init__(self, anything):
            super().__init__()

        def call(self, values):
            return values

    network = keras.Sequential([keras.Input((8,)), Forgetful(object())])
    with pytest.raises(NotImplementedError, match="get_config"):
        export_network(network, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_network_and_its_own_graph_agree(small_network, small_exported, noise):
    check_parity(small_network, small_exported / "model.onnx", noise.random((4, 20, 20, 3), "float32"))


def test_a_graph_of_other_weights_is_refused(small_network, small_exported, noise):
    other = small_network.__class__.from_config(small_network.get_config())  # its weights are drawn anew
    with pytest.raises(ParityError) as caught:
        check_parity(other, small_exported / "model.onnx", noise.random((4, 20, 20, 3), "float32"))
    assert caught.value.values["tolerance"] == 1e-4
    assert caught.value.values["output"] in {"logits", "scores", "embedding"}
    assert caught.value.values["difference"] > 1e-4


def test_outputs_that_are_no_numbers_agree_with_nothing(small_network, small_exported):
    with pytest.raises(ParityError):
        check_parity(small_network, small_exported / "model.onnx", np.full((1, 20, 20, 3), np.nan, np.float32))
