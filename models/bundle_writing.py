"""Writes a bundle: whole and checked, or not at all."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle import CARD, FILES, GRAPH, KERAS_MODEL, MANIFEST, Manifest, file_sha256
from models.card import model_card
from models.engine import ENGINES, load_engine
from models.errors import BundleWriteError, ParityError

PARITY_TOLERANCE = 1e-4


def export_network(network: Any, folder: Path) -> None:
    """Writes the network into `folder` as `model.keras` and, by Keras' own export, `model.onnx`."""
    shape = (1, *network.input_shape[1:])
    network(np.zeros(shape, np.float32))  # Keras exports only a network that was called
    network.save(folder / KERAS_MODEL)
    network.export(folder / GRAPH, format="onnx", verbose=False)


def check_parity(network: Any, graph: Path, batch: NDArray[np.float32]) -> None:
    """Every engine's outputs on a batch (n, H, W, C) equal Keras' within 1e-4, in float32.

    Embeddings have no natural scale: their difference is measured against their largest magnitude.

    Raises:
        ParityError: an output differs by more.
    """
    expected = {name: np.asarray(output) for name, output in network(batch, training=False).items()}
    for engine in ENGINES:
        outputs = load_engine(engine, graph, threads=0).run(batch)
        for name, value in expected.items():
            difference = float(np.abs(outputs[name] - value).max())
            if name == "embedding":
                difference /= max(1.0, float(np.abs(value).max()))
            if not difference <= PARITY_TOLERANCE:
                raise ParityError(graph=engine, tolerance=PARITY_TOLERANCE, output=name, difference=difference)


def write_bundle(path: Path, exported: Path, manifest: Manifest) -> Manifest:
    """Makes the bundle of what `export_network` wrote into `exported`, with its card and manifest.

    Args:
        path: the bundle's folder; an older bundle there is replaced in one step.
        exported: holds `model.keras` and `model.onnx`.
        manifest: without `files`, which are filled in here.

    Raises:
        BundleWriteError: the disk is full or not writable; the older bundle stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
            draft = Path(scratch) / "bundle"
            draft.mkdir()
            for name in (KERAS_MODEL, GRAPH):
                shutil.copyfile(exported / name, draft / name)
            (draft / CARD).write_text(model_card(manifest), encoding="utf-8")
            complete = manifest.model_copy(update={"files": _hashes(draft, FILES)})
            (draft / MANIFEST).write_text(complete.model_dump_json(indent=2) + "\n", encoding="utf-8")
            if path.exists():
                path.rename(Path(scratch) / "replaced")
            draft.rename(path)
    except OSError as error:
        raise BundleWriteError(path=path, reason=error.strerror or "the disk refused") from error
    return complete


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    return {name: file_sha256(folder / name) for name in names}
