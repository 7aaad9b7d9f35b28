"""A bundle is written whole or not at all, on disks that are really full or really closed."""

import hashlib
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest

from models.bundle import load_bundle
from models.bundle_writing import check_parity, export_network, write_bundle
from models.engine import load_engine
from models.errors import BundleWriteError, ParityError
from models.half_precision import round_weights
from tests.conftest import CARD
from tests.room import no_file_beyond

PLENTY_BYTES = 4_000_000  # model.keras has 421 kB here, model.onnx 413 kB
OUTPUTS = {"logits", "scores", "embedding", "maps"}


@pytest.fixture
def disk(tmp_path):
    """A folder, and what leaves it so many bytes of room for a while: on a file system of its own where root may mount
    one; elsewhere no single file may take more than half of them."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode:
        yield folder, lambda room_bytes: no_file_beyond(room_bytes // 2)
        return

    def resize(size_bytes):
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", folder], check=True)

    @contextmanager
    def leaving(room_bytes):
        resize(shutil.disk_usage(folder).used + room_bytes)
        yield
        resize(PLENTY_BYTES)

    yield folder, leaving
    subprocess.run(["umount", folder], check=True)


def content(folder):
    """Every file below a folder, hidden ones too, with its hash."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_says_what_to_do(error, path):
    assert error.values["path"] == path
    assert error.values["reason"] in {"No space left on device", "File too large"}  # full; over the limit
    assert "free space" in str(error)


def test_an_export_is_the_network_twice(exported, noise):
    import keras

    network = keras.saving.load_model(exported / "model.keras")
    batch = noise.random((2, 150, 150, 3), "float32")
    assert network(batch).keys() == OUTPUTS
    assert load_engine("onnxruntime", exported / "model.onnx", threads=1).run(batch).keys() == OUTPUTS
    check_parity(network, exported / "model.onnx", batch)


def test_a_compact_export_is_half_as_large_and_still_the_network_twice(tmp_path, small_network, noise):
    import keras

    network = keras.models.clone_model(small_network)
    round_weights(network)
    export_network(network, tmp_path / "plain")
    export_network(network, tmp_path / "compact", compact=True)
    assert content(tmp_path / "compact").keys() == {"model.keras", "model.onnx"}
    for name in ("model.keras", "model.onnx"):
        ratio = (tmp_path / "compact" / name).stat().st_size / (tmp_path / "plain" / name).stat().st_size
        assert ratio < 0.6
    batch = noise.random((2, 20, 20, 3), "float32")
    check_parity(network, tmp_path / "compact" / "model.onnx", batch)
    loaded = keras.saving.load_model(tmp_path / "compact" / "model.keras")
    assert np.array_equal(loaded(batch)["logits"], network(batch)["logits"])


@pytest.mark.parametrize("room_bytes", [8_000, 200_000, 600_000])  # within the first, and within the second file
def test_a_full_disk_stops_an_export_and_leaves_the_older_one(room_bytes, disk, small_network):
    folder, leaving = disk
    export_network(small_network, folder)
    before = content(folder)
    with leaving(room_bytes), pytest.raises(BundleWriteError) as caught:
        export_network(small_network, folder)
    assert_says_what_to_do(caught.value, folder)
    assert content(folder) == before
    assert list(folder.iterdir()) == [folder / name for name in before]
    export_network(small_network, folder)
    assert content(folder).keys() == before.keys()


def test_a_full_disk_leaves_nothing_of_a_first_export(disk, small_network):
    folder, leaving = disk
    (folder / "ballast").write_bytes(bytes(4096))
    with leaving(4096), pytest.raises(BundleWriteError):
        export_network(small_network, folder)
    assert [path.name for path in folder.iterdir()] == ["ballast"]


@pytest.mark.parametrize("room_bytes", [8_000, 200_000, 600_000])
def test_a_full_disk_stops_a_bundle_and_leaves_the_older_one(room_bytes, disk, small_exported, small_manifest):
    folder, leaving = disk
    write_bundle(folder / "pneumonia", small_exported, small_manifest, CARD)
    before, digest = content(folder), load_bundle(folder / "pneumonia").digest
    newer = small_manifest.model_copy(update={"operating_points": (0.1, 0.1, 0.1)})
    with leaving(room_bytes), pytest.raises(BundleWriteError) as caught:
        write_bundle(folder / "pneumonia", small_exported, newer, CARD)
    assert_says_what_to_do(caught.value, folder / "pneumonia")
    assert content(folder) == before
    assert list(folder.iterdir()) == [folder / "pneumonia"]
    assert load_bundle(folder / "pneumonia").digest == digest
    write_bundle(folder / "pneumonia", small_exported, newer, CARD)
    assert load_bundle(folder / "pneumonia").manifest.operating_points == (0.1, 0.1, 0.1)


def test_a_full_disk_leaves_nothing_of_a_first_bundle(disk, small_exported, small_manifest):
    folder, leaving = disk
    (folder / "ballast").write_bytes(bytes(4096))
    with leaving(600_000), pytest.raises(BundleWriteError):
        write_bundle(folder / "pneumonia", small_exported, small_manifest, CARD)
    assert [path.name for path in folder.iterdir()] == ["ballast"]


def test_a_missing_parent_is_made(tmp_path, small_exported, small_manifest):
    path = tmp_path / "data" / "bundles" / "pneumonia"
    written = write_bundle(path, small_exported, small_manifest, CARD)
    assert load_bundle(path).manifest == written
    assert list(path.parent.iterdir()) == [path]


def test_the_manifest_lists_the_hash_of_every_other_file(small_bundle, small_exported):
    found = content(small_bundle)
    assert found.keys() == {"bundle.json", "model.keras", "model.onnx", "gates.npz", "MODEL_CARD.md"}
    assert load_bundle(small_bundle).manifest.files == {name: found[name] for name in found if name != "bundle.json"}
    assert {name: found[name] for name in ("model.keras", "model.onnx", "gates.npz")} == content(small_exported)
    assert (small_bundle / "MODEL_CARD.md").read_text(encoding="utf-8") == CARD


@pytest.mark.parametrize("place", ["beside", "small_bundle"])
def test_a_bundle_is_made_anew_of_another_or_of_itself(place, small_bundle, small_manifest):
    before, manifest = content(small_bundle), load_bundle(small_bundle).manifest
    path = small_bundle.with_name(place)
    measured = manifest.model_copy(update={"confounded": ("Viral Pneumonia",)})
    write_bundle(path, small_bundle, measured, "# Läuse\n")
    after = content(path)
    assert {name for name in after if after[name] != before[name]} == {"bundle.json", "MODEL_CARD.md"}
    assert load_bundle(path).manifest.confounded == ("Viral Pneumonia",)
    assert (path / "MODEL_CARD.md").read_text(encoding="utf-8") == "# Läuse\n"


def test_the_same_manifest_is_the_same_bundle(tmp_path, small_exported, small_manifest):
    for name in ("one", "two"):
        write_bundle(tmp_path / name, small_exported, small_manifest, CARD)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_newer_bundle_replaces_the_older_one(small_bundle, small_exported, small_manifest):
    (small_bundle / "stale").write_text("of the older bundle")
    newer = small_manifest.model_copy(update={"operating_points": (0.1, 0.1, 0.1)})
    write_bundle(small_bundle, small_exported, newer, CARD)
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
        write_bundle(closed / "pneumonia", small_exported, small_manifest, CARD)
    assert caught.value.values["path"] == closed / "pneumonia"


def test_where_nothing_may_be_written_no_network_is(closed, small_network):
    with pytest.raises(BundleWriteError, match="may be written to"):
        export_network(small_network, closed)


def test_what_was_never_exported_is_not_bundled(tmp_path, small_manifest):
    (tmp_path / "exported").mkdir()
    with pytest.raises(BundleWriteError, match="No such file"):
        write_bundle(tmp_path / "pneumonia", tmp_path / "exported", small_manifest, CARD)
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]


@pytest.mark.parametrize("missing", ["model.keras", "model.onnx", "gates.npz"])
def test_without_one_of_its_files_the_older_bundle_stays(
    missing, tmp_path, small_bundle, small_exported, small_manifest
):
    before = content(small_bundle)
    shutil.copytree(small_exported, tmp_path / "exported", ignore=shutil.ignore_patterns(missing))
    with pytest.raises(BundleWriteError, match="No such file"):
        write_bundle(small_bundle, tmp_path / "exported", small_manifest, CARD)
    assert content(small_bundle) == before


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
    assert caught.value.values["output"] in OUTPUTS
    assert caught.value.values["difference"] > 1e-4


def altered(network, output, change):
    """The network with one of its outputs changed."""

    def answer(batch, training):
        answers = network(batch, training=training)
        return answers | {output: change(answers[output])}

    return answer


@pytest.mark.parametrize("output", ["embedding", "maps"])
def test_what_has_no_scale_is_measured_against_its_largest_magnitude(output, small_network, small_exported, noise):
    graph, batch = small_exported / "model.onnx", noise.random((4, 20, 20, 3), "float32")
    check_parity(altered(small_network, output, lambda values: values * (1 + 8e-5)), graph, batch)
    assert np.max(small_network(batch)[output]) * 1.2e-4 < 1e-4
    with pytest.raises(ParityError) as caught:
        check_parity(altered(small_network, output, lambda values: values * (1 + 1.2e-4)), graph, batch)
    assert caught.value.values["output"] == output
    assert caught.value.values["difference"] == pytest.approx(1.2e-4, rel=0.02)


@pytest.mark.parametrize("output", ["logits", "scores"])
def test_what_has_a_scale_may_differ_by_a_ten_thousandth(output, small_network, small_exported, noise):
    graph, batch = small_exported / "model.onnx", noise.random((4, 20, 20, 3), "float32")
    assert np.abs(small_network(batch)[output]).max() < 1
    check_parity(altered(small_network, output, lambda values: values + 8e-5), graph, batch)
    with pytest.raises(ParityError) as caught:
        check_parity(altered(small_network, output, lambda values: values + 1.2e-4), graph, batch)
    assert caught.value.values["output"] == output


def test_a_picture_without_anything_to_show_agrees_with_itself(small_network, small_exported):
    black = np.zeros((1, 20, 20, 3), np.float32)
    assert np.max(small_network(black)["maps"]) == 0
    check_parity(small_network, small_exported / "model.onnx", black)


def test_outputs_that_are_no_numbers_agree_with_nothing(small_network, small_exported):
    with pytest.raises(ParityError):
        check_parity(small_network, small_exported / "model.onnx", np.full((1, 20, 20, 3), np.nan, np.float32))
