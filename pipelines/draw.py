"""Draws the synthetic source: images, lesion masks and the records that are their ground truth."""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd
from PIL import Image

from pipelines.params import Draw, load_params
from pipelines.phantom.cohort import Shortcut, cohort
from pipelines.phantom.draw import draw_phantom
from pipelines.phantom.record import IMAGES, MASKS, RECORDS, SOURCE, PhantomRecord
from pipelines.stage import progress, run_stage


def draw(settings: Draw, raw_dir: Path) -> None:
    """Writes `records.csv`, `images/<image>.png` and `masks/<image>__<finding>.png` below `raw_dir`."""
    shortcut = Shortcut(settings.scanner_finding, settings.scanner_finding_correlation)
    records = cohort(settings.patients, settings.seed, shortcut)
    for folder in (IMAGES, MASKS):
        (raw_dir / folder).mkdir(parents=True, exist_ok=True)
    draw_one = partial(_draw_one, raw_dir, settings.height_px)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in progress(pool.map(draw_one, records, chunksize=16), "drawing", len(records)):
            pass
    _table(records).to_csv(raw_dir / RECORDS, index=False)


def _draw_one(raw_dir: Path, height_px: int, record: PhantomRecord) -> None:
    phantom = draw_phantom(record, height_px)
    Image.fromarray(phantom.pixels).save(raw_dir / IMAGES / f"{record.image}.png", compress_level=1)
    for finding, mask in phantom.masks.items():
        Image.fromarray(mask).save(raw_dir / MASKS / f"{record.image}__{finding}.png")


def _table(records: list[PhantomRecord]) -> pd.DataFrame:
    columns = ("image", "patient", "study", "view", "age_years", "sex", "scanner", "seed")
    rows = [
        {column: getattr(record, column) for column in columns}
        | {"pneumonia": record.pneumonia or "", "findings": "|".join(record.findings)}
        for record in records
    ]
    return pd.DataFrame(rows)


def main(to_draw: str, raw_dir: str) -> None:
    """`python -m pipelines.draw TO_DRAW RAW_DIR`; TO_DRAW is the check stage's list."""
    if SOURCE in Path(to_draw).read_text(encoding="utf-8").split():
        draw(load_params().draw, Path(raw_dir))
    else:  # the stage owes DVC its folder
        Path(raw_dir).mkdir(parents=True)


if __name__ == "__main__":
    run_stage(main)
