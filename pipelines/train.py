"""Trains a model on its shards and writes it as a bundle, whose figures are still to be measured."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from models.bundle import GATES, GRAPH, Bundle, Manifest, Terms, Training
from models.bundle_writing import check_parity, export_network, write_bundle
from models.calibration import fit_calibration, uncalibrated
from models.conformal import fit_conformal, unlimited
from models.engine import load_engine
from models.findings import find_task
from models.half_precision import round_weights
from models.radiograph import Radiograph
from models.scoring import operating_point
from pipelines.checkpoints import Checkpoints
from pipelines.fitting import Job, fit, preprocessing_of
from pipelines.gates import gates_of
from pipelines.labels import any_of, heads_of, labels_of
from pipelines.lineage import commit, data_digest, library_versions
from pipelines.params import Train, load_params
from pipelines.prediction import columns_of, prediction_table
from pipelines.shards import read_shards
from pipelines.stage import run_stage

_ENGINE = "openvino"
_PARITY_IMAGES = 16
_GATE_IMAGES = 600
_UNMEASURED = "# {name}\n\nNot measured yet: the stages evaluate and release write the card of this model.\n"


def train(name: str, settings: Train, table: Path, shards: Path, progress_dir: Path, bundle: Path) -> Manifest:
    """Trains, exports, checks parity, fits gates, thresholds and calibration, writes the bundle.

    Args:
        name: of the model.
        settings: of the model.
        table: the split table of the model's task.
        shards: holds a folder a source.
        progress_dir: for curves and checkpoints; a run that was killed goes on from here.
        bundle: the folder to write.

    Raises:
        LabelsError, WeightsError, TrainingError: see `pipelines.fitting.fit` and `pipelines.labels.heads_of`.
        ParityError: the exported graph disagrees with the network.
        BundleWriteError: the disk is full or not writable.
    """
    job, kept = planned(settings, table, shards, progress_dir)
    network = fit(job, kept).answerer
    if settings.compact:
        round_weights(network)
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch)
        export_network(network, exported, settings.compact)
        engine = load_engine(_ENGINE, exported / GRAPH, threads=0)
        inputs = [job.preprocessing(radiograph) for radiograph in _images(job, "validation", _PARITY_IMAGES)]
        check_parity(network, exported / GRAPH, np.stack(inputs))
        gates = gates_of(
            lambda batch: engine.run(batch)["embedding"],
            list(_images(job, "train", _GATE_IMAGES)),
            list(_images(job, "validation", _GATE_IMAGES)),
            job.preprocessing,
            settings.seed,
        )
        gates.save(exported / GATES)
        draft = Bundle(exported, "unreleased", _manifest(name, job), _ENGINE, engine, gates)
        manifest = write_bundle(bundle, exported, _with_thresholds(job, draft), _UNMEASURED.format(name=name))
    kept.leave_only_curves()
    return manifest


def planned(settings: Train, table: Path, shards: Path, progress_dir: Path) -> tuple[Job, Checkpoints]:
    """What the weights follow from, and what an earlier run of the same has left."""
    rows = pd.read_parquet(table)
    sources = sorted(rows["source"].unique())
    data = data_digest([table, *(shard for one in sources for shard in sorted((shards / one).glob("*.parquet")))])
    heads = heads_of(find_task(settings.task), settings.heads, rows)
    job = Job(settings, heads, preprocessing_of(settings), rows, shards, data)
    return job, Checkpoints(progress_dir, f"{data} {heads} {settings.model_dump_json()}")


def _manifest(name: str, job: Job) -> Manifest:
    """What is known before thresholds are chosen; the cards of the sources are the matter of `pipelines.release`."""
    settings, labels = job.settings, labels_of(job.heads, job.settings.heads, job.rows)
    learnt = job.rows[(job.rows["split"] == "train") & any_of(~np.isnan(labels))]
    sources = tuple(sorted(learnt["source"].unique()))
    return Manifest(
        name=name,
        task=settings.task,
        heads=job.heads,
        preprocessing=job.preprocessing,
        operating_points=(0.5,) * labels.shape[1],
        calibration=uncalibrated(job.heads),
        conformal=unlimited(job.heads),
        age_group="any",
        terms=Terms(shareable=False, by_source={}),
        training=Training(
            backbone=settings.backbone,
            sources=sources,
            drawn=bool(learnt["drawn"].all()),
            images=len(learnt),
            commit=commit(),
            data=job.data,
            parameters=settings.model_dump(),
            versions=library_versions(),
        ),
    )


def _images(job: Job, split: str, count: int) -> Iterator[Radiograph]:
    """So many images of a split that train a head, spread over its rows."""
    labels = labels_of(job.heads, job.settings.heads, job.rows)
    rows = job.rows[(job.rows["split"] == split) & any_of(~np.isnan(labels))]
    some = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))]
    for source, of_source in some.groupby("source"):
        for _, radiograph in read_shards(job.shards / str(source), set(of_source["image"])):
            yield radiograph


def _with_thresholds(job: Job, draft: Bundle) -> Manifest:
    """The manifest with operating points from validation, and calibration and risk control from their own split."""
    settings, findings = job.settings, draft.manifest.findings
    unseen = prediction_table(draft, job.rows[job.rows["split"].isin(["validation", "calibration"])], job.shards)
    unseen[list(findings)] = labels_of(job.heads, settings.heads, unseen)
    validation, calibration = (unseen[unseen["split"] == part] for part in ("validation", "calibration"))
    labels = calibration[list(findings)].to_numpy(np.float64)
    scores, logits = (calibration[columns_of(kind, findings)].to_numpy() for kind in ("score", "logit"))
    groups = calibration["group"].to_numpy(str)
    return draft.manifest.model_copy(
        update={
            "operating_points": tuple(
                operating_point(
                    validation[name].to_numpy(), validation[f"score {name}"].to_numpy(), settings.target_sensitivity
                )
                for name in findings
            ),
            "calibration": fit_calibration(job.heads, labels, logits, groups, settings.seed),
            "conformal": fit_conformal(job.heads, labels, scores, settings.risk),
        }
    )


def main(name: str, table: str, shards: str, progress_dir: str, bundle: str) -> None:
    """`python -m pipelines.train MODEL TABLE SHARDS PROGRESS_DIR BUNDLE`."""
    train(name, load_params().model(name), Path(table), Path(shards), Path(progress_dir), Path(bundle))


if __name__ == "__main__":
    run_stage(main)
