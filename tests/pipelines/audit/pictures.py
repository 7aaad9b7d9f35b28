"""The audit's input without catalogs and shards: grey images, and what the stages before would say of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from models.findings import FINDINGS
from models.radiograph import Radiograph
from pipelines.facts import THUMBNAIL_PX, image_facts

Grey = NDArray[np.uint8]
_FIELDS = ("patient_id", "study_id", "copy_of", "view_position", "age_years", "sex", "split_official")


def read_grey(path: Path) -> Grey:
    """(H, W) uint8."""
    return np.asarray(Image.open(path).convert("L"))


def described(pictures: Iterable[tuple[str, str, Grey]], **known: Sequence[Any]) -> tuple[pd.DataFrame, Grey]:
    """Rows as of `pipelines.audit.evidence`, and thumbnails.

    Args:
        pictures: source, image and its pixels; equal pixels are equal files.
        known: columns with a value for each picture; every image is of a patient of its own where they do not say.
    """
    rows = []
    for source, image, grey in pictures:
        facts = image_facts(grey.tobytes(), Radiograph(np.ascontiguousarray(grey)))
        rows.append(dict.fromkeys(_FIELDS) | facts | {"source": source, "image": image, "drawn": False})
    columns = ["source", "image", "drawn", *_FIELDS, "sha256", "perceptual_hash", "width", "height"]
    facts = ["mean", "contrast", "sharpness", "border", "black", "white"]
    images = pd.DataFrame(rows, columns=[*columns, *facts]).assign(uncertain=[[] for _ in rows])
    images["patient_id"] = [f"{source}/{image}" for source, image in zip(images.source, images.image, strict=True)]
    images = images.assign(**dict.fromkeys(FINDINGS, np.nan)).assign(**known)
    thumbnails = [np.frombuffer(row["thumbnail"], np.uint8).reshape(THUMBNAIL_PX, THUMBNAIL_PX) for row in rows]
    return images, np.array(thumbnails, np.uint8).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)


def real_chests(publishers: Path, source: str, count: int, rng: np.random.Generator) -> list[Path]:
    """Some of a publisher's radiographs, drawn by lot."""
    folder, pattern = _FOLDERS[source]
    return _drawn(sorted((publishers / source / folder).glob(pattern)), count, rng)


def _drawn(paths: list[Path], count: int, rng: np.random.Generator) -> list[Path]:
    return [paths[place] for place in rng.choice(len(paths), count, replace=False)]


_FOLDERS = {
    "nih_chestxray14": ("images", "*.png"),
    "shenzhen": ("CXR_png", "*.png"),
    "covid_chestxray": ("images", "*"),
    "hannover": ("png", "*.png"),
    "kermany": ("chest_xray", "train/*/*.jpeg"),
}
SOURCES = tuple(_FOLDERS)
