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
from pipelines.raw import RawFiles
from pipelines.sources import find_source

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


def real_chests(publishers: Path, source: str, count: int, rng: np.random.Generator) -> dict[str, Grey]:
    """Some of a publisher's radiographs, drawn by lot, by name."""
    names = RawFiles(publishers / source).matching(find_source(source).images)
    chosen = [names[place] for place in rng.choice(len(names), count, replace=False)]
    return {name: read_grey(publishers / source / name) for name in chosen}
