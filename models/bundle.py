"""The folder that leaves training and enters serving, and the only way from a radiograph to scores.

bundle.json     the manifest: everything that must not differ between training and serving, and each file's hash
model.keras     the trained network, for explanations and further training
model.onnx      the same network as exported, which is what is measured and served
MODEL_CARD.md   for people
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from models.calibration import Calibration, uncalibrated
from models.engine import Engine, load_engine
from models.errors import BundleDigestError, BundleFormatError, UnknownNameError
from models.findings import Task, find_task
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph

SCHEMA = 1
MANIFEST = "bundle.json"
KERAS_MODEL = "model.keras"
GRAPH = "model.onnx"
CARD = "MODEL_CARD.md"
FILES = (KERAS_MODEL, GRAPH, CARD)


class Training(BaseModel):
    """Where the weights come from.

    Attributes:
        backbone: a key of `BACKBONES`.
        sources: that trained it.
        drawn: whether every training image was drawn; the scores then mean nothing on a real radiograph.
        images: in the training split.
        commit: of the code; ends in "-dirty" where files differed from it.
        data: `sha256:` over what was trained on: catalogs' order, labels and pixels.
        parameters: the train section of params.yaml.
        versions: of the libraries that shaped the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    sources: tuple[str, ...]
    drawn: bool
    images: int
    commit: str
    data: str
    parameters: dict[str, str | int | float | bool]
    versions: dict[str, str]


class Manifest(BaseModel):
    """What `bundle.json` says.

    Attributes:
        schema_version: of this class.
        task: a key of `TASKS`.
        findings: in the order of every score; equal to the task's.
        preprocessing: of the model input.
        operating_points: a score a finding; the finding is called present from there upwards.
        calibration: scores to probabilities.
        training: where the weights come from.
        files: SHA-256, hexadecimal, of each other file of the bundle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    task: str
    findings: tuple[str, ...]
    preprocessing: Preprocessor
    operating_points: tuple[float, ...]
    calibration: Calibration
    training: Training
    files: dict[str, str] = {}

    @model_validator(mode="after")
    def _fits_its_task(self) -> Self:
        try:
            task = find_task(self.task)
        except UnknownNameError as error:
            raise ValueError(str(error)) from error
        if self.findings != task.findings:
            raise ValueError(f"findings of task {self.task} are {task.findings}, not {self.findings}")
        if len(self.operating_points) != len(self.findings):
            raise ValueError("one operating point a finding is needed")
        temperatures = len(uncalibrated(task).temperatures)
        if self.calibration.kind is not task.kind or len(self.calibration.temperatures) != temperatures:
            raise ValueError(f"a {task.kind} task needs {temperatures} temperature(s) of its kind")
        return self


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says about one radiograph; arrays are float64, findings in the order of the task.

    Attributes:
        logits: (findings,), what the scores and probabilities are made of.
        scores: (findings,) in [0, 1].
        probabilities: (findings,) in [0, 1], calibrated.
        present: (findings,) bool; whether the score reaches the operating point.
        embedding: (features,), what the head saw.
    """

    logits: NDArray[np.float64]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    present: NDArray[np.bool_]
    embedding: NDArray[np.float64]


class Bundle:
    """A verified bundle with its graph loaded.

    Attributes:
        path: the folder.
        digest: `sha256:` and the hash of the manifest, which holds the hashes of all other files.
        manifest: what `bundle.json` says.
        task: what the scores are about.
        engine_name: what runs the graph.
    """

    def __init__(self, path: Path, digest: str, manifest: Manifest, engine_name: str, engine: Engine) -> None:
        self.path = path
        self.digest = digest
        self.manifest = manifest
        self.task: Task = find_task(manifest.task)
        self.engine_name = engine_name
        self._engine = engine

    def predict(self, radiographs: Sequence[Radiograph]) -> list[Prediction]:
        """The predictions of radiographs, in their order: `preprocess` each, then `score` them as one batch."""
        return self.score([self.preprocess(radiograph) for radiograph in radiographs])

    def preprocess(self, radiograph: Radiograph) -> NDArray[np.float32]:
        """(H, W, C) float32, as the weights want it."""
        return self.manifest.preprocessing(radiograph)

    def score(self, inputs: Sequence[NDArray[np.float32]]) -> list[Prediction]:
        """The predictions of what `preprocess` gave, in their order."""
        if not inputs:
            return []
        outputs = self._engine.run(np.stack(inputs))
        logits, scores, embeddings = (outputs[name].astype(np.float64) for name in ("logits", "scores", "embedding"))
        probabilities = self.manifest.calibration.probabilities(logits)
        present = scores >= np.asarray(self.manifest.operating_points)
        return [Prediction(*row) for row in zip(logits, scores, probabilities, present, embeddings, strict=True)]


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
    return Bundle(path, found, manifest, engine, load_engine(engine, path / GRAPH, threads))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
