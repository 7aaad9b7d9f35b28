"""A small drawn cohort taken through catalog, prepare and split, and sources whose rows a test lists itself."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from models.findings import find_task
from pipelines.catalog import catalog
from pipelines.params import Params, load_params
from pipelines.prepare import prepare
from pipelines.sources import find_source
from pipelines.sources.source import ImageRow
from pipelines.split import split

ROOT = Path(__file__).parents[2]
SMALL: dict[str, dict[str, Any]] = {
    "draw": {"patients": 60, "height_px": 128},
    "train": {"backbone": "baseline_cnn", "epochs": 3},
    "evaluate": {"replicates": 100},
}


@dataclass(frozen=True)
class ListedSource:
    """A source that gives the rows it was made of."""

    name: str
    listed: list[ImageRow]
    findings: tuple[str, ...] = ()
    drawn: bool = False
    origins: list[str] = field(default_factory=list)

    def fetch(self, origin: str, raw_dir: Path) -> None:
        self.origins.append(origin)

    def rows(self, raw_dir: Path) -> Iterator[ImageRow]:
        yield from self.listed


def write_params(folder: Path, **sections: Any) -> Path:
    """The committed params.yaml with small figures, and with other values where a test wants them."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for changes in (SMALL, sections):
        for section, values in changes.items():
            document[section] = document.get(section, {}) | values if isinstance(values, dict) else values
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def start_stage(folder: Path, module: str, *words: str) -> subprocess.Popen[str]:
    """A stage as `dvc repro` runs it in `folder`, its output to be read."""
    command = [sys.executable, "-P", "-m", f"pipelines.{module}", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def write_picture(path: Path, rng: np.random.Generator, side_px: int = 32) -> None:
    """Grey noise, large enough to be read as a radiograph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (side_px, side_px), np.uint8)).save(path)


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
    """The data folder of the project: `raw`, `catalog`, `shards`, `audit` and `splits` of drawn images."""
    data = project / "data"
    # A process of its own: the stage forks, which is not for a process that runs TensorFlow's threads.
    drawing = start_stage(project, "draw", "data/raw/synthetic")
    _, complaints = drawing.communicate()
    assert drawing.returncode == 0, complaints
    table, unreadable = data / "catalog/synthetic.parquet", data / "audit/unreadable/synthetic.csv"
    catalog(find_source("synthetic"), data / "raw/synthetic", table)
    prepare(params.prepare, "synthetic", data / "raw/synthetic", table, data / "shards/synthetic", unreadable)
    rows = split(params.split, find_task("pneumonia"), [table], [unreadable])
    (data / "splits").mkdir()
    rows.to_parquet(data / "splits/pneumonia.parquet", index=False)
    return data
