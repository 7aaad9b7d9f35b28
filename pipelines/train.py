"""Trains a task's network on its shards and releases it as a bundle."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from models.backbones import find_backbone
from models.bundle import GRAPH, Bundle, Manifest, Training
from models.bundle_writing import check_parity, export_network, write_bundle
from models.calibration import fit_calibration, uncalibrated
from models.engine import load_engine
from models.findings import Task, find_task
from models.preprocessing import Preprocessor
from models.scoring import operating_point
from pipelines.fitting import fit, leave_only_curves
from pipelines.lineage import commit, data_digest, library_versions
from pipelines.params import Train, load_params
from pipelines.prediction import columns_of, prediction_table
from pipelines.shards import read_shards
from pipelines.stage import run_stage

_ENGINE = "openvino"
_PARITY_IMAGES = 16


def train(settings: Train, task: Task, table: Path, shards: Path, progress_dir: Path, bundle: Path) -> Manifest:
    """Trains, exports, checks parity, chooses operating points on validation, calibrates, writes the bundle.

    Args:
        settings: the train section of params.yaml.
        task: to learn.
        table: the task's split table.
        shards: holds a folder a source.
        progress_dir: for curves and checkpoints; a run that was killed goes on from here.
        bundle: the folder to write.

    Raises:
        TrainingError: the loss is no number.
        ParityError: the exported graph disagrees with the network.
        BundleWriteError: the disk is full or not writable.
    """
    rows = pd.read_parquet(table)
    sources = tuple(sorted(rows["source"].unique()))
    files = [table, *(shard for source in sources for shard in sorted((shards / source).glob("*.parquet")))]
    data = data_digest(files)
    network = fit(settings, task, rows, shards, progress_dir, data)
    draft = Manifest(
        task=task.name,
        findings=task.findings,
        preprocessing=find_backbone(settings.backbone).preprocessing,
        operating_points=(0.5,) * len(task.findings),
        calibration=uncalibrated(task),
        training=Training(
            backbone=settings.backbone,
            sources=sources,
            drawn=bool(rows["drawn"].all()),
            images=int((rows["split"] == "train").sum()),
            commit=commit(),
            data=data,
            parameters=settings.model_dump(),
            versions=library_versions(),
        ),
    )
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch)
        export_network(network, exported)
        check_parity(network, exported / GRAPH, _sample(rows, shards, draft.preprocessing))
        engine = load_engine(_ENGINE, exported / GRAPH, threads=0)
        unreleased = Bundle(exported, "unreleased", draft, _ENGINE, engine)
        manifest = write_bundle(bundle, exported, _with_thresholds(settings, task, rows, shards, unreleased))
    leave_only_curves(progress_dir)
    return manifest


def _sample(rows: pd.DataFrame, shards: Path, preprocessor: Preprocessor) -> np.ndarray:
    """(n, H, W, C) float32, the first images of the validation split."""
    some = rows[rows["split"] == "validation"].head(_PARITY_IMAGES)
    pictures = [
        preprocessor(radiograph)
        for source, of_source in some.groupby("source")
        for _, radiograph in read_shards(shards / str(source), set(of_source["image"]))
    ]
    return np.stack(pictures)


def _with_thresholds(settings: Train, task: Task, rows: pd.DataFrame, shards: Path, bundle: Bundle) -> Manifest:
    """The manifest with operating points from validation and calibration from its own split."""
    unseen = prediction_table(bundle, rows[rows["split"].isin(["validation", "calibration"])], shards)
    validation, calibration = (unseen[unseen["split"] == part] for part in ("validation", "calibration"))
    points = tuple(
        operating_point(
            validation[finding].to_numpy(), validation[f"score {finding}"].to_numpy(), settings.target_sensitivity
        )
        for finding in task.findings
    )
    labels = calibration[list(task.findings)].to_numpy(np.float64)
    fitted = fit_calibration(task.kind, labels, calibration[columns_of("logit", task.findings)].to_numpy())
    return bundle.manifest.model_copy(update={"operating_points": points, "calibration": fitted})


def main(task: str, table: str, shards: str, progress_dir: str, bundle: str) -> None:
    """`python -m pipelines.train TASK TABLE SHARDS PROGRESS_DIR BUNDLE`."""
    train(load_params().train, find_task(task), Path(table), Path(shards), Path(progress_dir), Path(bundle))


if __name__ == "__main__":
    run_stage(main)
