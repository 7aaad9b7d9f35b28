"""params.yaml as frozen objects that refuse what they do not know."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError
from pydantic_core import ErrorDetails

from models.errors import SettingsError

Share = Annotated[float, Field(ge=0, lt=1)]


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


class Train(_Section):
    """Training.

    Attributes:
        backbone: a key of `models.backbones.BACKBONES`.
        epochs: passes over the training images; the weights of the least validation loss are kept.
        batch_size: images a step.
        learning_rate: of Adam.
        rotation_degrees, zoom, shift, contrast: the most by which an image is turned, scaled (share), moved (share of
            its side) and its contrast changed (share) at random.
        target_sensitivity: reached on validation by each operating point.
        seed: of weights, order and augmentation.
    """

    backbone: str
    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    rotation_degrees: Annotated[float, Field(ge=0, le=45)]
    zoom: Share
    shift: Share
    contrast: Share
    target_sensitivity: Annotated[float, Field(gt=0, le=1)]
    seed: int


class Evaluate(_Section):
    """Measuring.

    Attributes:
        replicates: of the bootstrap behind each interval.
        seed: of the bootstrap.
    """

    replicates: Annotated[int, Field(ge=100)]
    seed: int


class Params(_Section):
    """All of params.yaml.

    Attributes:
        sources: keys of `pipelines.sources.SOURCES`, all catalogued and prepared.
        tasks: keys of `models.findings.TASKS`, each trained by itself.
    """

    sources: Annotated[list[str], Field(min_length=1)]
    tasks: Annotated[list[str], Field(min_length=1)]
    draw: Draw
    prepare: Prepare
    audit: Audit
    split: Split
    train: Train
    evaluate: Evaluate


def load_params(path: Path = Path("params.yaml")) -> Params:
    """The settings of a run.

    Raises:
        SettingsError: a key is misspelt or missing, or a value is of the wrong kind or out of range. Whether the names
            exist is the matter of the `check` stage: a stage need not know every source.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        params = Params.model_validate(document)
    except OSError as error:
        raise SettingsError(where=path, reason="expected a readable file; run from the project's folder") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(where=path, reason=f"expected YAML, but {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise SettingsError(where=path, reason="; ".join(_sentence(e) for e in error.errors())) from error
    if unknown := set(params.split.external) - set(params.sources):
        reason = f"split.external: {', '.join(sorted(unknown))} is not among the sources"
        raise SettingsError(where=path, reason=reason)
    if params.split.validation + params.split.calibration + params.split.test >= 1:
        raise SettingsError(where=path, reason="split: validation, calibration and test leave nothing to train on")
    return params


def _sentence(error: ErrorDetails) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if not key:
        return f"expected sections and their keys, received {error['input']!r}"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{key} is not a known key; see pipelines/params.py"
    return f"{key}: {error['msg']}, received {error['input']!r}"
