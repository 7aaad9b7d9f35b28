"""All sources side by side: catalogs, and what `prepare` and `embed` found in the images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.findings import FINDINGS
from pipelines.facts import THUMBNAIL_PX, TRIVIAL
from pipelines.shards import read_columns


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything in one order: that of sources in params.yaml, then of names.

    Attributes:
        images: the catalogs' rows, with the columns of `pipelines.facts.TRIVIAL` besides.
        left_out: the catalogs' lists of what they left out, with the column `source`.
        thumbnails: (images, 96, 96) uint8.
        embeddings: (images, features) float32.
    """

    images: pd.DataFrame
    left_out: pd.DataFrame
    thumbnails: NDArray[np.uint8]
    embeddings: NDArray[np.float32]

    @property
    def findings(self) -> tuple[str, ...]:
        """Those that some image is labelled for."""
        return tuple(finding for finding in FINDINGS if self.images[finding].notna().any())


def load_evidence(sources: Sequence[str], catalogs: Path, shards: Path, embeddings: Path) -> Evidence:
    """Reads what the stages before have written of these sources."""
    parts = [_load(source, catalogs, shards / source, embeddings / f"{source}.parquet") for source in sources]
    return Evidence(
        pd.concat([part.images for part in parts], ignore_index=True),
        pd.concat([part.left_out for part in parts], ignore_index=True),
        np.concatenate([part.thumbnails for part in parts]),
        np.concatenate([part.embeddings for part in parts]),
    )


def _load(source: str, catalogs: Path, shards: Path, embeddings: Path) -> Evidence:
    images = pd.read_parquet(catalogs / f"{source}.parquet").sort_values("image", ignore_index=True)
    place = {image: number for number, image in enumerate(images["image"])}
    thumbnails = np.zeros((len(images), THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)
    trivial = np.zeros((len(images), len(TRIVIAL)), np.float32)
    for table in read_columns(shards, ("image", "thumbnail", *TRIVIAL)):
        for row in table.to_pylist():
            if row["image"] in place:
                at = place[row["image"]]
                thumbnails[at] = np.frombuffer(row["thumbnail"], np.uint8).reshape(THUMBNAIL_PX, THUMBNAIL_PX)
                trivial[at] = [row[name] for name in TRIVIAL]
    images = images.assign(**{name: trivial[:, number] for number, name in enumerate(TRIVIAL)})
    left_out = pd.read_csv(catalogs / f"{source}.left_out.csv").assign(source=source)
    return Evidence(images, left_out, thumbnails, _embeddings(embeddings, place))


def _embeddings(path: Path, place: dict[str, int]) -> NDArray[np.float32]:
    with pq.ParquetFile(path) as file:
        features = file.schema_arrow.field("embedding").type.list_size
        embeddings = np.zeros((len(place), features), np.float32)
        for batch in file.iter_batches():
            known = [
                (number, place[image]) for number, image in enumerate(batch["image"].to_pylist()) if image in place
            ]
            values = batch["embedding"].values.to_numpy(zero_copy_only=False).reshape(-1, features)
            if known:
                rows, places = zip(*known, strict=True)
                embeddings[list(places)] = values[list(rows)]
    return embeddings
