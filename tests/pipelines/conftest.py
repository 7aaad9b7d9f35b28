"""A small drawn cohort taken through catalog, prepare and split, and sources whose rows a test lists itself."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from models.findings import find_task
from pipelines.audit.groups import group_images
from pipelines.audit.ledger import COLUMNS
from pipelines.catalog import catalog, write_rows
from pipelines.params import Params, Prepare, load_params
from pipelines.prepare import prepare
from pipelines.pseudonyms import Pseudonyms
from pipelines.raw import RawFiles
from pipelines.sources import find_source
from pipelines.sources.card import Card, Weights
from pipelines.sources.source import Exclusion, ImageRow, Source
from pipelines.split import split

ROOT = Path(__file__).parents[2]
SMALL: dict[str, dict[str, Any]] = {
    "draw": {"patients": 60, "height_px": 128},
    "models": {"baseline": {"epochs": 3}},
    "evaluate": {"replicates": 100},
}


@dataclass(frozen=True)
class ListedSource(Source):
    """A source that gives the rows it was made of."""

    name: str
    listed: list[ImageRow | Exclusion]
    findings: tuple[str, ...] = ()
    images: tuple[str, ...] = ("*.png", "*.dcm", "*.jpg")
    required: tuple[str, ...] = ()
    drawn: bool = False

    def rows(self, raw: RawFiles, card: Card) -> Iterator[ImageRow | Exclusion]:
        yield from self.listed


CARD = Card(
    title="A test's own",
    home="here",
    licence="none",
    citation="none",
    terms="none",
    weights=Weights(shareable=False, terms="none"),
    limits="none",
)
PSEUDONYMS = Pseudonyms(bytes(32))


def write_catalog(source: Source, raw_dir: Path, data: Path, settings: Prepare) -> pd.DataFrame:
    """Takes a source through prepare and catalog below `data`; gives its table."""
    prepare(settings, source, RawFiles(raw_dir), data / "preparing" / source.name, data / "shards" / source.name)
    rows, left_out = catalog(source, RawFiles(raw_dir), CARD, data / "shards" / source.name, PSEUDONYMS)
    write_rows(rows, left_out, data / f"catalog/{source.name}.parquet", data / f"catalog/{source.name}.left_out.csv")
    return rows.to_pandas()


def write_params(folder: Path, **sections: Any) -> Path:
    """The committed params.yaml with small figures, and with other values where a test wants them."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for changes in (SMALL, sections):
        document = laid_over(document, changes)
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def laid_over(document: Any, changes: Any) -> Any:
    """The document with changes, however deep they are."""
    if not isinstance(document, dict) or not isinstance(changes, dict):
        return changes
    return document | {key: laid_over(document.get(key), value) for key, value in changes.items()}


def start_stage(folder: Path, module: str, *words: str) -> subprocess.Popen[str]:
    """A stage as `dvc repro` runs it in `folder`, its output to be read."""
    command = [sys.executable, "-P", "-m", f"pipelines.{module}", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def write_picture(path: Path, rng: np.random.Generator, side_px: int = 32) -> None:
    """Grey noise, large enough to be read as a radiograph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (side_px, side_px), np.uint8)).save(path)


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """Ray on this machine, for what runs in this very process; another module may start it in its own way."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small params.yaml, where stages can run."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder)
    return folder


@pytest.fixture(scope="session")
def params(project: Path) -> Params:
    return load_params(project / "params.yaml")


@pytest.fixture(scope="session")
def cohort(project: Path, params: Params) -> Path:
    """The data folder of the project: `raw`, `catalog`, `shards` and `splits` of drawn images."""
    data = project / "data"
    # A process of its own: the stage forks, which is not for a process that runs TensorFlow's threads.
    (project / "to_draw.txt").write_text("synthetic\n")
    drawing = start_stage(project, "draw", "to_draw.txt", "data/raw/synthetic")
    _, complaints = drawing.communicate()
    assert drawing.returncode == 0, complaints
    images = write_catalog(find_source("synthetic"), data / "raw/synthetic", data, params.prepare)
    groups = group_images(images, pd.DataFrame(columns=list(COLUMNS)), ["synthetic"]).assign(excluded=None)
    rows, _ = split(params.split, find_task("pneumonia"), images, groups, ["synthetic"])
    (data / "splits").mkdir()
    rows.to_parquet(data / "splits/pneumonia.parquet", index=False)
    return data
