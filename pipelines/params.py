"""params.yaml as frozen objects that refuse what they do not know."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from models.errors import SettingsError, UnknownNameError

Share = Annotated[float, Field(ge=0, lt=1)]
Chance = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Draw(_Section):
    """The synthetic source.

    Attributes:
        patients: drawn; each has one or two images.
        height_px: of a drawn image.
        scanner_finding: the finding that the scanner may follow from; one of `DRAWN_FINDINGS`.
        scanner_finding_correlation: how often it does; above 0 plants a shortcut.
        seed: of the cohort.
    """

    patients: PositiveInt
    height_px: Annotated[int, Field(ge=64, le=2048)]
    scanner_finding: str
    scanner_finding_correlation: Annotated[float, Field(ge=0, le=1)]
    seed: int


class Prepare(_Section):
    """Decoding.

    Attributes:
        max_unreadable: the share of a source's images that may be unreadable before the run stops.
        executor: a key of `pipelines.spread.EXECUTORS`: processes of this machine, or a Ray cluster.
    """

    max_unreadable: Share
    executor: Literal["local", "ray"]


class Audit(_Section):
    """Looking at all sources together.

    Attributes:
        executor: a key of `pipelines.spread.EXECUTORS`, for comparing images.
        official_leaks: what follows where a publisher's test part shares a patient or an image with its training part:
            "fail" stops the run and names the pairs, "exclude" leaves the images of the training part out.
    """

    executor: Literal["local", "ray"]
    official_leaks: Literal["fail", "exclude"]


class Split(_Section):
    """Shares of each source's groups of images; the rest trains.

    Attributes:
        validation: chooses weights and operating points.
        calibration: fits probabilities.
        test: is only measured; 0 is fine for a source that brings an official test part.
        external: sources that are only measured, by models that have seen none of their patients or images.
        uncertain: what a label that the publisher calls uncertain is in training: unknown ("ignore"), 0, 1, or one
            drawn from 0.55 to 0.85 ("smoothed_ones"; Pham et al. 2021). Where figures are measured it stays unknown.
        key: of the hash that orders groups; another key gives another split.
    """

    validation: Share
    calibration: Share
    test: Share
    external: list[str]
    uncertain: Literal["ignore", "zeros", "ones", "smoothed_ones"]
    key: str


class HeadSettings(_Section):
    """A head of a model.

    Attributes:
        name: of the head.
        findings: of the model's task, in the order of the scores.
        sources: that train the head; every source by default. A finding that is told from the source rather than from
            the disease wants the negatives of its own source, and nothing else.
    """

    name: Annotated[str, Field(min_length=1)]
    findings: Annotated[list[str], Field(min_length=1)]
    sources: list[str] = []


class Augment(_Section):
    """How training images are varied at random; 0 leaves a variation out.

    Attributes:
        rotation_degrees, zoom, shift, contrast: the most by which an image is turned, scaled (share), moved (share of
            its side) and its contrast changed (share).
        gamma: the most by which the exponent of its greys differs from 0 in powers of e.
        blur, sharpness, jpeg: the share of images that are blurred, sharpened, compressed.
        noise: the largest standard deviation of noise added to greys in [0, 1].
        border: the most that is cut off at each side (share).
        mirror: whether left and right change places; not where situs matters.
        mix, mix_alpha: how two images become one, and the parameter of its Beta distribution.
    """

    rotation_degrees: Annotated[float, Field(ge=0, le=45)] = 0.0
    zoom: Share = 0.0
    shift: Share = 0.0
    contrast: Share = 0.0
    gamma: Share = 0.0
    blur: Chance = 0.0
    sharpness: Chance = 0.0
    jpeg: Chance = 0.0
    noise: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    border: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    mirror: bool = False
    mix: Literal["none", "mixup", "cutmix"] = "none"
    mix_alpha: Annotated[float, Field(gt=0, le=2)] = 0.4


class Train(_Section):
    """The training of one model: the section `train`, with what the model says otherwise.

    Attributes:
        task: a key of `models.findings.TASKS`.
        backbone: a key of `models.backbones.BACKBONES`.
        weights: that the backbone begins with: "none", "imagenet", a `.keras` or `.weights.h5` file, or a bundle.
        heads: on the backbone; none for a single head of all findings of the task that some source labels.
        crop_borders, tone: see `models.preprocessing.Preprocessor`.
        mirror_mean: whether the model answers with the mean over the image and its mirror image.
        frozen_epochs: passes over the training images in which only the heads learn.
        epochs: passes after those; the weights of the highest validation AUROC are kept.
        patience: passes without a higher one after which training stops.
        frozen_share: of the backbone's layers, from the input on, that never learn.
        batch_size: images a step, all workers together.
        frozen_learning_rate, learning_rate: of Adam, at most, while the backbone is frozen and after; the latter rises
            in the first `warm_up` (share) of its steps and falls along half a cosine.
        weight_decay: of AdamW, on kernels.
        averaging: momentum of the running mean of weights that takes their place after each epoch; 0 for none.
        loss: "cross_entropy", "focal" (Lin et al. 2017) or "asymmetric" (Ridnik et al. 2021).
        label_smoothing: the share of certainty taken from each label.
        class_balance, source_balance: from 0, every image counts alike, to 1, every class of a finding, and every
            source of a head, counts alike.
        augment: see `Augment`.
        precision: of the arithmetic; a mixed one is for devices that gain by it.
        xla: whether TensorFlow compiles the step; for devices that gain by it.
        workers: processes of a Ray cluster that train together; 1 trains in the stage itself.
        compact: whether weights are rounded to 8 significant bits, and the bundle's files made smaller by it.
        target_sensitivity: reached on validation by each operating point.
        risk: the share of present findings that may be called absent.
        seed: of weights, order and augmentation.
    """

    task: str
    backbone: str
    weights: str
    heads: list[HeadSettings] = []
    crop_borders: bool
    tone: Literal["as_is", "equalised"]
    mirror_mean: bool
    frozen_epochs: NonNegativeInt
    epochs: NonNegativeInt
    patience: PositiveInt
    frozen_share: Annotated[float, Field(ge=0, le=1)]
    batch_size: PositiveInt
    frozen_learning_rate: PositiveFloat
    learning_rate: PositiveFloat
    warm_up: Share
    weight_decay: NonNegativeFloat
    averaging: Share
    loss: Literal["cross_entropy", "focal", "asymmetric"]
    label_smoothing: Share
    class_balance: Chance
    source_balance: Chance
    augment: Augment
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"]
    xla: bool
    workers: PositiveInt
    compact: bool
    target_sensitivity: Annotated[float, Field(gt=0, le=1)]
    risk: Annotated[float, Field(gt=0, lt=1)]
    seed: int

    @model_validator(mode="after")
    def _learns(self) -> Self:
        if self.frozen_epochs + self.epochs == 0:
            raise ValueError("frozen_epochs and epochs are both 0: nothing would be learnt")
        if self.workers > 1 and (self.xla or self.precision == "mixed_float16"):
            raise ValueError("several workers train in float32 or mixed_bfloat16, and without xla")
        if self.batch_size < self.workers:
            raise ValueError("batch_size is smaller than workers: some would have nothing to learn from")
        return self


class Evaluate(_Section):
    """Measuring.

    Attributes:
        replicates: of the bootstrap behind each interval.
        seed: of the bootstrap.
    """

    replicates: Annotated[int, Field(ge=100)]
    seed: int


class Promote(_Section):
    """What a version must pass before it may be in production; see `pipelines.promotion`.

    Attributes:
        margin: of AUROC that a finding may lose against production, at the lower end of the 95 % interval.
        margins: by finding, where another is meant.
        min_positives: test images that show a finding; with fewer it is not judged.
        ece: largest expected calibration error, at the lower end of the 95 % interval.
        accept_confounded: findings that features without disease may tell nearly as well.
    """

    margin: Share
    margins: dict[str, Share] = {}
    min_positives: PositiveInt
    ece: Share
    accept_confounded: list[str] = []


class Params(_Section):
    """All of params.yaml.

    Attributes:
        sources: keys of `pipelines.sources.SOURCES`, all catalogued and prepared.
        tasks: keys of `models.findings.TASKS`, each split by itself.
        models: by name; each the section `train` with what it says otherwise.
    """

    sources: Annotated[list[str], Field(min_length=1)]
    tasks: Annotated[list[str], Field(min_length=1)]
    draw: Draw
    prepare: Prepare
    audit: Audit
    split: Split
    models: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Train], Field(min_length=1)]
    evaluate: Evaluate
    promote: Promote

    def model(self, name: str) -> Train:
        """The settings of a model.

        Raises:
            UnknownNameError: params.yaml has no model of that name.
        """
        if name not in self.models:
            raise UnknownNameError(kind="model", name=name, known=", ".join(self.models))
        return self.models[name]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """The settings of a run.

    Raises:
        SettingsError: a key is misspelt or missing, or a value is of the wrong kind or out of range. Whether the names
            exist is the matter of the `check` stage: a stage need not know every source.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        params = Params.model_validate(_merged(document))
    except OSError as error:
        raise SettingsError(where=path, reason="expected a readable file; run from the project's folder") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(where=path, reason=f"expected YAML, but {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise SettingsError(where=path, reason=_sentences(document, error)) from error
    if unknown := set(params.split.external) - set(params.sources):
        reason = f"split.external: {', '.join(sorted(unknown))} is not among the sources"
        raise SettingsError(where=path, reason=reason)
    for name, model in params.models.items():
        if model.task not in params.tasks:
            reason = f"expected one of the tasks {', '.join(params.tasks)}, but received {model.task}"
            raise SettingsError(where=path, reason=f"models.{name}.task: {reason}")
    if params.split.validation + params.split.calibration + params.split.test >= 1:
        raise SettingsError(where=path, reason="split: validation, calibration and test leave nothing to train on")
    return params


def _merged(document: Any) -> Any:
    """The document with each model's settings laid over the section `train`, which is then gone."""
    if not isinstance(document, dict) or not isinstance(document.get("models"), dict):
        return document
    shared = document.get("train") or {}
    return {key: value for key, value in document.items() if key != "train"} | {
        "models": {name: _laid_over(shared, own or {}) for name, own in document["models"].items()}
    }


def _laid_over(shared: Any, own: Any) -> Any:
    if not isinstance(shared, dict) or not isinstance(own, dict):
        return own
    return shared | {key: _laid_over(shared.get(key), value) for key, value in own.items()}


def _sentences(document: Any, error: ValidationError) -> str:
    """What is wrong, each mistake once, although every model takes over what `train` says."""
    return "; ".join(dict.fromkeys(_sentence(document, one) for one in error.errors()))


def _sentence(document: Any, error: ErrorDetails) -> str:
    key = ".".join(_written(document, error["loc"]))
    if not key:
        return f"expected sections and their keys, received {error['input']!r}"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{key} is not a known key; see pipelines/params.py"
    if error["type"] == "value_error":
        return f"{key}: {error['ctx']['error']}"
    return f"{key}: {error['msg']}, received {error['input']!r}"


def _written(document: Any, place: tuple[int | str, ...]) -> list[str]:
    """Where the value stands in the file: with its model, or in the section `train`."""
    where = [str(part) for part in place]
    if len(place) < 3 or place[0] != "models" or place[-1] == "[key]":
        return where
    found = document["models"][place[1]]
    for part in place[2:]:
        if not isinstance(found, dict) or part not in found:
            return where if isinstance(found, list) else ["train", *where[2:]]
        found = found[part]
    return where
