"""Bundles whose answers a test makes up, and shards of radiographs that it made."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.backbones import find_backbone
from models.bundle import GATES, Bundle, Manifest
from models.bundle_writing import export_network
from models.calibration import uncalibrated
from models.conformal import unlimited
from models.findings import Head, TaskKind
from models.gates import Gates
from models.heads import build_network
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph
from pipelines.shards import pack, write_shard
from tests.conftest import FEATURES


class StubEngine:
    """An engine whose scores and maps follow from the batch by a test's own rule."""

    def __init__(self, answer: Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]):
        self._answer = answer

    def run(self, batch, crowded=False):
        scores, maps = self._answer(batch)
        return {
            "logits": np.log(scores / (1 - scores)),
            "scores": scores,
            "embedding": np.zeros((len(batch), FEATURES), np.float32),
            "maps": maps,
        }


def stub_bundle(manifest: Manifest, answer, path: Path = Path("nowhere")) -> Bundle:
    """A bundle that answers by a rule: batch (n, H, W, C) -> scores (n, findings), maps (n, h, w, findings)."""
    return Bundle(path, "sha256:stub", manifest, "stub", StubEngine(answer), Gates.open_to_all(FEATURES))


def thoracic(manifest: Manifest, *findings: str, **changes) -> Manifest:
    """The manifest with one multilabel head of these findings, on 64 x 64 px."""
    heads = (Head(name="lungs", kind=TaskKind.MULTILABEL, findings=findings),)
    return manifest.model_copy(
        update={
            "name": "thoracic",
            "task": "thoracic",
            "heads": heads,
            "preprocessing": Preprocessor(height_px=64, width_px=64, channels=1),
            "operating_points": (0.5,) * len(findings),
            "calibration": uncalibrated(heads),
            "conformal": unlimited(heads),
        }
        | changes
    )


def write_radiographs(shards: Path, source: str, radiographs: Mapping[str, Radiograph]) -> None:
    """A shard of these radiographs below `shards`."""
    (shards / source).mkdir(parents=True)
    records = (
        {"image": image, "height": one.levels.shape[0], "width": one.levels.shape[1]} | pack(b"", one)
        for image, one in radiographs.items()
    )
    write_shard(shards / source / "0.parquet", records)


def export_small(manifest: Manifest, folder: Path) -> Manifest:
    """A network of 20 x 20 px with weights by chance, exported into `folder`, and the manifest that fits it."""
    small = manifest.model_copy(update={"preprocessing": Preprocessor(height_px=20, width_px=20)})
    network = build_network(find_backbone("baseline_cnn"), small.heads, small.preprocessing)
    export_network(network.answerer, folder)
    Gates.open_to_all(FEATURES).save(folder / GATES)
    return small
