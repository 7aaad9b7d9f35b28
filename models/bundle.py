"""The folder that leaves training and enters serving, and the only way from a radiograph to scores.

bundle.json     the manifest: everything that must not differ between training and serving, and each file's hash
model.keras     the trained network, for explanations and further training
model.onnx      the same network as exported, which is what is measured and served
gates.npz       what tells a chest radiograph, and one like those of training, from anything else
MODEL_CARD.md   for people
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from scipy.special import logit

from models.calibration import Calibration
from models.conformal import Conformal
from models.engine import Engine, load_engine
from models.errors import BundleDigestError, BundleFormatError, OutputError, UnknownNameError
from models.findings import Head, Task, TaskKind, columns_of_heads, find_task
from models.gates import AgeGroup, Gates, GateValues, load_gates
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph

SCHEMA = 2
MANIFEST = "bundle.json"
KERAS_MODEL = "model.keras"
GRAPH = "model.onnx"
GATES = "gates.npz"
CARD = "MODEL_CARD.md"
FILES = (KERAS_MODEL, GRAPH, GATES, CARD)


class Training(BaseModel):
    """Where the weights come from.

    Attributes:
        backbone: a key of `BACKBONES`.
        sources: that trained it.
        drawn: whether every training image was drawn; the scores then mean nothing on a real radiograph.
        images: in the training split.
        commit: of the code; ends in "-dirty" where files differed from it.
        data: `sha256:` over what was trained on: catalogs' order, labels and pixels.
        parameters: the model's settings in params.yaml.
        versions: of the libraries that shaped the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    sources: tuple[str, ...]
    drawn: bool
    images: int
    commit: str
    data: str
    parameters: dict[str, Any]
    versions: dict[str, str]


class Terms(BaseModel):
    """What may be done with the weights, from the cards of the sources that trained them.

    Attributes:
        shareable: whether they may be given to others; only if every source's terms allow it.
        by_source: each source's terms for weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shareable: bool
    by_source: dict[str, str]


class Manifest(BaseModel):
    """What `bundle.json` says.

    Attributes:
        schema_version: of this class.
        name: of the model, a key of `models` in params.yaml and the name in the registry.
        task: a key of `TASKS`.
        heads: whose findings stand side by side in every score; all of them findings of the task.
        preprocessing: of the model input.
        operating_points: a score a finding; the finding is called present from there upwards.
        calibration: logits to probabilities.
        conformal: below which score a finding may be called absent.
        age_group: whom the training images show; "any" where both children and adults, or it is not known.
        confounded: findings of which features that know nothing of disease tell nearly as much as the model.
        terms: of the weights.
        training: where the weights come from.
        files: SHA-256, hexadecimal, of each other file of the bundle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    name: str
    task: str
    heads: tuple[Head, ...]
    preprocessing: Preprocessor
    operating_points: tuple[float, ...]
    calibration: Calibration
    conformal: Conformal
    age_group: AgeGroup
    confounded: tuple[str, ...] = ()
    terms: Terms
    training: Training
    files: dict[str, str] = {}

    @property
    def findings(self) -> tuple[str, ...]:
        """Those of all heads, in the order of every score."""
        return tuple(finding for head in self.heads for finding in head.findings)

    @model_validator(mode="after")
    def _fits_its_task(self) -> Self:
        try:
            task = find_task(self.task)
        except UnknownNameError as error:
            raise ValueError(str(error)) from error
        findings = self.findings
        if not set(findings) <= set(task.findings) or len(set(findings)) < len(findings):
            raise ValueError(f"findings of task {self.task} are {task.findings}, each once, not {findings}")
        for per_finding in (self.operating_points, self.conformal.absent_below):
            if len(per_finding) != len(findings):
                raise ValueError(f"expected {len(findings)} thresholds, one a finding, not {len(per_finding)}")
        self.calibration.check_fits(self.heads)
        return self


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says about one radiograph; arrays are float64 unless said otherwise, findings in the model's order.

    Attributes:
        logits: (findings,), what the scores and probabilities are made of.
        scores: (findings,) in [0, 1].
        probabilities: (findings,) in [0, 1], calibrated.
        present: (findings,) bool; whether the score reaches the operating point.
        uncertain: (findings,) bool; whether the finding can be called neither present nor absent at the stated risk.
        embedding: (features,), what the heads saw.
        maps: (h, w, findings) float32, not negative: Grad-CAM over the part of the radiograph that the model saw.
        gates: what the input looks like.
    """

    logits: NDArray[np.float64]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    present: NDArray[np.bool_]
    uncertain: NDArray[np.bool_]
    embedding: NDArray[np.float64]
    maps: NDArray[np.float32]
    gates: GateValues


class Bundle:
    """A verified bundle with its graph loaded.

    Attributes:
        path: the folder.
        digest: `sha256:` and the hash of the manifest, which holds the hashes of all other files.
        manifest: what `bundle.json` says.
        task: what the scores are about.
        engine_name: what runs the graph.
    """

    def __init__(
        self, path: Path, digest: str, manifest: Manifest, engine_name: str, engine: Engine, gates: Gates
    ) -> None:
        self.path = path
        self.digest = digest
        self.manifest = manifest
        self.task: Task = find_task(manifest.task)
        self.engine_name = engine_name
        self._engine = engine
        self._gates = gates

    @cached_property
    def operating_probabilities(self) -> tuple[float | None, ...]:
        """Of each finding the calibrated probability at its operating point, from which on it is present, too.

        None for a class of a multiclass head, whose probability depends on those of the others.
        """
        points = np.clip(self.manifest.operating_points, 1e-12, 1 - 1e-12)
        found: list[float | None] = self.manifest.calibration.probabilities(logit(points)[np.newaxis])[0].tolist()
        for head, columns in columns_of_heads(self.manifest.heads):
            if head.kind is TaskKind.MULTICLASS:
                found[columns] = [None] * len(head.findings)
        return tuple(found)

    def predict(self, radiographs: Sequence[Radiograph]) -> list[Prediction]:
        """The predictions of radiographs, in their order: `preprocess` each, then `score` them as one batch."""
        return self.score([self.preprocess(radiograph) for radiograph in radiographs])

    def preprocess(self, radiograph: Radiograph) -> NDArray[np.float32]:
        """(H, W, C) float32, as the weights want it."""
        return self.manifest.preprocessing(radiograph)

    def score(self, inputs: Sequence[NDArray[np.float32]], crowded: bool = False) -> list[Prediction]:
        """The predictions of what `preprocess` gave, in their order; safe from several threads.

        Args:
            inputs: as one batch.
            crowded: whether others score at the same time, see `models.engine.Engine.run`.

        Raises:
            OutputError: a score is not finite.
        """
        if not inputs:
            return []
        outputs = self._engine.run(np.stack(inputs), crowded)
        logits, scores, embeddings = (outputs[name].astype(np.float64) for name in ("logits", "scores", "embedding"))
        if strange := int(np.count_nonzero(~np.isfinite(np.concatenate([logits, scores])))):
            raise OutputError(name=self.manifest.name, received=strange)
        probabilities = self.manifest.calibration.probabilities(logits)
        present = scores >= np.asarray(self.manifest.operating_points)
        uncertain = self.manifest.conformal.uncertain(self.manifest.heads, scores, present)
        gates = self._gates.values(embeddings)
        rows = zip(logits, scores, probabilities, present, uncertain, embeddings, outputs["maps"], gates, strict=True)
        return [Prediction(*row) for row in rows]


def read_manifest(path: Path, digest: str | None = None) -> tuple[Manifest, str]:
    """The manifest of the bundle at `path` and its digest, every file's hash checked.

    Args:
        path: the folder.
        digest: what it must be; None takes it as it comes.

    Raises:
        BundleFormatError: the manifest is missing, malformed or of a newer schema, or a file is not listed.
        BundleDigestError: the digest or a file's hash differs.
    """
    try:
        text = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleFormatError(path=path, reason=f"it has no readable {MANIFEST}") from error
    found = "sha256:" + hashlib.sha256(text).hexdigest()
    if digest is not None and found != digest:
        raise BundleDigestError(path=path, expected=digest, received=found)
    manifest = _parse(path, text)
    _check_files(path, manifest)
    return manifest, found


def _parse(path: Path, text: bytes) -> Manifest:
    try:
        document = json.loads(text)
        schema = document["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleFormatError(path=path, reason=f"{MANIFEST} is malformed") from error
    if schema != SCHEMA:
        raise BundleFormatError(path=path, reason=f"its schema is {schema}, this release knows {SCHEMA}")
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleFormatError(path=path, reason=f"{MANIFEST}, {where}: {first['msg']}") from error


def _check_files(path: Path, manifest: Manifest) -> None:
    if set(manifest.files) != set(FILES):
        raise BundleFormatError(path=path, reason=f"{MANIFEST} lists {sorted(manifest.files)}, not {sorted(FILES)}")
    for name, expected in manifest.files.items():
        try:
            received = file_sha256(path / name)
        except OSError as error:
            raise BundleFormatError(path=path, reason=f"{name} cannot be read") from error
        if received != expected:
            raise BundleDigestError(path=path / name, expected=f"sha256:{expected}", received=f"sha256:{received}")


def load_bundle(path: Path, digest: str | None = None, engine: str = "openvino", threads: int = 0) -> Bundle:
    """A verified bundle, ready to predict.

    Args:
        path: the folder.
        digest: what the registry says it is; None takes it as it comes.
        engine: a key of `ENGINES`.
        threads: the engine may use; 0 leaves it to the engine.

    Raises:
        BundleFormatError, BundleDigestError: see `read_manifest`.
        UnknownNameError: no such engine.
    """
    manifest, found = read_manifest(path, digest)
    graph = load_engine(engine, path / GRAPH, threads)
    return Bundle(path, found, manifest, engine, graph, load_gates(path / GATES))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
