"""Writes a bundle: whole and checked, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import CARD, FILES, GATES, GRAPH, KERAS_MODEL, MANIFEST, Manifest, file_sha256
from models.engine import ENGINES, load_engine
from models.errors import BundleWriteError, ParityError
from models.half_precision import compact_graph, compact_keras

PARITY_TOLERANCE = 1e-4


def export_network(network: Any, folder: Path, compact: bool = False) -> None:
    """Writes the network into `folder` as `model.keras` and, by Keras' own export, `model.onnx`.

    Args:
        network: Keras model from (n, H, W, C) float32 to a dict of outputs.
        folder: is made where it is missing.
        compact: whether both files are to be as small as they can; LZMA takes some 5 seconds a million weights. It
            loses nothing, and gains where `models.half_precision.round_weights` rounded the network before.

    Raises:
        BundleWriteError: the disk is full or not writable; what was there stays.
    """
    shape = (1, *network.input_shape[1:])
    network(np.zeros(shape, np.float32))  # Keras exports only a network that was called
    with _scratch(folder, for_path=folder) as scratch:
        network.save(scratch / KERAS_MODEL)
        network.export(scratch / GRAPH, format="onnx", verbose=False)
        if compact:
            compact_keras(scratch / KERAS_MODEL)
            compact_graph(scratch / GRAPH)
        for name in (KERAS_MODEL, GRAPH):
            (scratch / name).replace(folder / name)


def check_parity(network: Any, graph: Path, batch: NDArray[np.float32]) -> None:
    """Every engine's outputs on a batch (n, H, W, C) equal Keras' within 1e-4, in float32.

    Scores differ by what they differ; logits are measured against their largest magnitude where that is above 1, and
    embeddings and maps, which have no natural scale, always.

    Raises:
        ParityError: an output differs by more.
    """
    expected = {name: np.asarray(output) for name, output in network(batch, training=False).items()}
    for engine in ENGINES:
        outputs = load_engine(engine, graph, threads=0).run(batch)
        for name, value in expected.items():
            difference = float(np.abs(outputs[name] - value).max()) / _scale(name, value)
            if not difference <= PARITY_TOLERANCE:
                raise ParityError(graph=engine, tolerance=PARITY_TOLERANCE, output=name, difference=difference)


def _scale(output: str, value: NDArray[np.float32]) -> float:
    """What a difference of that output is measured against."""
    largest = float(np.abs(value).max())
    return {"scores": 1.0, "logits": max(1.0, largest)}.get(output, largest or 1.0)


def write_bundle(path: Path, exported: Path, manifest: Manifest, card: str) -> Manifest:
    """Makes the bundle of copies of the network and its gates, with its card and manifest.

    Args:
        path: the bundle's folder; an older bundle there is replaced once the new one is complete.
        exported: holds `model.keras` and `model.onnx`, as `export_network` writes them, and `gates.npz`, as
            `Gates.save` does; another bundle's folder will do.
        manifest: its `files` are filled in here.
        card: the text of `MODEL_CARD.md`.

    Returns:
        The manifest as it was written.

    Raises:
        BundleWriteError: the disk is full or not writable, or `exported` lacks a file; the older bundle stays.
    """
    with _scratch(path.parent, for_path=path) as scratch:
        draft = scratch / "bundle"
        draft.mkdir()
        for name in (KERAS_MODEL, GRAPH, GATES):
            shutil.copyfile(exported / name, draft / name)
        (draft / CARD).write_text(card, encoding="utf-8")
        complete = manifest.model_copy(update={"files": _hashes(draft, FILES)})
        (draft / MANIFEST).write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if path.exists():
            path.rename(scratch / "replaced")
        draft.rename(path)
    return complete


@contextmanager
def _scratch(parent: Path, for_path: Path) -> Iterator[Path]:
    """A folder in `parent` that is gone afterwards; what the disk refuses meanwhile is told of `for_path`."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{for_path.name}-") as scratch:
            yield Path(scratch)
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        reason = os.strerror(refusal.errno) if refusal.errno else str(refusal)
        raise BundleWriteError(path=for_path, reason=reason) from error


def _refusal(error: BaseException | None) -> OSError | None:
    """The disk's own error behind one of Keras; h5py turns a full disk into a RuntimeError when it closes a file."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    return {name: file_sha256(folder / name) for name in names}
