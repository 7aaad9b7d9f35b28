"""Heat maps against known lesions: does a map point at the finding it is of?

The pointing game counts a hit where the hottest point is at most 15 px of 224 from the lesion (Zhang et al. 2018,
Top-Down Neural Attention by Excitation Backprop); the overlap is that of the lesion with the part of the map that is at
least half as hot as its hottest point. Findings whose lesion is a whole organ, as the heart is for cardiomegaly, count
like any other, which is why the chance of a hit stands beside the hits.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion, distance_transform_edt

from models.bundle import Bundle
from models.explain import Overlay, place_map
from models.png import rgb_png
from models.radiograph import Radiograph
from models.scoring import Array
from pipelines.evaluate.samples import Samples, estimate
from pipelines.lesions import SIDE, Grid, known_lesions, on_grid
from pipelines.params import Evaluate
from pipelines.prediction import predict_rows
from pipelines.raw import RawFiles

MEASURED = ("test", "external")
TOLERANCE = 15 / 224 * SIDE
"""How far from a lesion, in places of the grid, still hits it."""

HOT_FROM = 0.5
_MEANS = {"hit_rate": "hit", "iou": "iou"}
_EXAMPLES = 6
_EXAMPLE_SIDE_PX = 384

Heat = NDArray[np.float32]
Region = tuple[int, int, int, int]
Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pointing:
    """How one heat map meets one lesion.

    Attributes:
        finding: that both are of.
        group: of the image.
        hit: whether the hottest point lies on the lesion or within the tolerance; never for a map without heat.
        iou: in [0, 1], intersection over union of the lesion and the hot part of the map.
        chance: in [0, 1], of a hit by a point anywhere in what the model saw.
    """

    finding: str
    group: str
    hit: bool
    iou: float
    chance: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """A lesion (SIDE, SIDE) on a radiograph, and the heat map (h, w) of a region of it in px."""

    radiograph: Radiograph
    region: Region
    heat: Heat
    lesion: Grid


def heat_map_figures(
    bundle: Bundle, rows: pd.DataFrame, shards: Path, raw: Path, catalogs: Path, settings: Evaluate
) -> dict[str, Any]:
    """How well a bundle's heat maps find the known lesions of images it was not trained on.

    Args:
        bundle: to measure.
        rows: of the split table; only those of the splits in `MEASURED` are looked at.
        shards: holds a folder of decoded images a source.
        raw: holds a folder of the publisher's files a source, masks among them.
        catalogs: holds a table a source.
        settings: the evaluate section of params.yaml.

    Returns:
        `overall` and `findings` by name, each with `lesions` (counted), `hit_rate` and `iou` as {value, low, high} with
        intervals by group, and `chance`, the mean chance of a hit; and `examples`, {title, png in base64} of the first
        lesion of up to six findings. Empty where no lesion is known.

    Raises:
        DataError: a mask is not there or no picture.
    """
    found: list[Pointing] = []
    examples: dict[str, dict[str, str]] = {}
    for pointing, seen in _pointings(bundle, rows[rows["split"].isin(MEASURED)], shards, raw, catalogs):
        found.append(pointing)
        if pointing.finding not in examples and len(examples) < _EXAMPLES:
            examples[pointing.finding] = _example(pointing, seen)
    if not found:
        return {}
    table = pd.DataFrame(found)
    return {
        "overall": _figures(table, settings),
        "findings": {str(finding): _figures(of, settings) for finding, of in table.groupby("finding", sort=False)},
        "examples": list(examples.values()),
    }


def meet(finding: str, group: str, heat: Heat, region: Region, lesion: Grid) -> Pointing:
    """How a heat map (h, w) meets a lesion.

    Args:
        finding: that both are of.
        group: of the image.
        heat: (h, w) float32, not negative.
        region: left, top, right and bottom place of the grid that the map covers.
        lesion: (SIDE, SIDE) bool.
    """
    left, top, right, bottom = region
    near = distance_transform_edt(~lesion) <= TOLERANCE
    hot = place_map(heat, region, lesion.shape) >= HOT_FROM
    # The middle of the hottest place of the map: interpolation keeps the maximum there.
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    y = top + int((row + 0.5) * (bottom - top) / heat.shape[0])
    x = left + int((column + 0.5) * (right - left) / heat.shape[1])
    return Pointing(
        finding=finding,
        group=group,
        hit=bool(hot.any() and near[y, x]),
        iou=float((hot & lesion).sum() / (hot | lesion).sum()),
        chance=float(near[top:bottom, left:right].mean()),
    )


def _pointings(
    bundle: Bundle, rows: pd.DataFrame, shards: Path, raw: Path, catalogs: Path
) -> Iterator[tuple[Pointing, _Seen]]:
    """Each known lesion of a finding that the bundle answers."""
    findings = bundle.manifest.findings
    for source, of_source in rows.groupby("source"):
        lesions = known_lesions(catalogs / f"{source}.parquet", findings)
        files = RawFiles(raw / str(source))
        some = of_source[of_source["image"].isin(lesions)]
        groups = some.set_index("image")["group"]
        for _, image, radiograph, prediction in predict_rows(bundle, some, shards):
            region = bundle.manifest.preprocessing.region(radiograph)
            for finding, lesion in lesions[image].items():
                heat, grid = prediction.maps[..., findings.index(finding)], on_grid(lesion, files)
                if grid.any():
                    places = _scaled(region, radiograph.levels.shape, grid.shape)
                    yield meet(finding, str(groups[image]), heat, places, grid), _Seen(radiograph, region, heat, grid)


def _scaled(region: Region, shape: Shape, to: Shape) -> Region:
    """A region of a picture of one shape in a picture of another."""
    (left, top, right, bottom), down, across = region, to[0] / shape[0], to[1] / shape[1]
    return round(left * across), round(top * down), round(right * across), round(bottom * down)


def _figures(table: pd.DataFrame, settings: Evaluate) -> dict[str, Any]:
    metrics = {name: partial(_mean, table[column].to_numpy(np.float64)) for name, column in _MEANS.items()}
    found = Samples(table["group"], settings).figures(metrics, np.ones(len(table), bool))
    figures = {name: estimate(of_samples) for name, of_samples in found.items()}
    return {"lesions": len(table)} | figures | {"chance": float(table["chance"].mean())}


def _mean(values: Array, weights: Array) -> Array:
    mean: Array = weights @ values / weights.sum(axis=1)
    return mean


def _example(pointing: Pointing, seen: _Seen) -> dict[str, str]:
    """The overlay, small enough for a page, with a white line around the lesion."""
    shape = seen.radiograph.levels.shape
    share = min(1.0, _EXAMPLE_SIDE_PX / max(shape))
    height, width = small = round(shape[0] * share), round(shape[1] * share)
    levels = Image.fromarray(np.rint(seen.radiograph.pixels * 255).astype(np.uint8))
    reduced = Radiograph(np.asarray(levels.resize((width, height), Image.Resampling.BOX)))
    lesion = np.asarray(Image.fromarray(seen.lesion).resize((width, height), Image.Resampling.NEAREST))
    heat = place_map(seen.heat, _scaled(seen.region, shape, small), small)
    title = f"{pointing.finding}: {'hit' if pointing.hit else 'missed'}, overlap {pointing.iou:.2f}"
    picture = rgb_png(Overlay(reduced, heat, lesion & ~binary_erosion(lesion)))
    return {"title": title, "png": b64encode(picture).decode("ascii")}
