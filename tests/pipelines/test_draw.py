"""The synthetic source on disk: films, masks and the records that are their ground truth."""

import hashlib

import numpy as np
import pandas as pd
from PIL import Image

from tests.pipelines.conftest import start_stage, write_params


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(folder, **sections):
    folder.mkdir()
    write_params(folder, **sections)
    (folder / "to_draw.txt").write_text("\n".join(sections.get("sources", ["synthetic"])))
    stage = start_stage(folder, "draw", "to_draw.txt", "data/raw/synthetic")
    output, complaints = stage.communicate()
    assert (stage.returncode, output, complaints) == (0, "", "")
    return folder / "data/raw/synthetic"


def test_each_record_has_its_film_and_the_masks_of_its_findings(cohort):
    raw = cohort / "raw/synthetic"
    records = pd.read_csv(raw / "records.csv", keep_default_na=False)
    assert records["patient"].nunique() == 60
    assert {f"{image}.png" for image in records["image"]} == {path.name for path in (raw / "images").iterdir()}
    masks = {
        f"{image}__{finding}.png"
        for image, findings in zip(records["image"], records["findings"], strict=True)
        for finding in findings.split("|")
        if finding
    }
    assert len(masks) > 60
    assert masks == {path.name for path in (raw / "masks").iterdir()}


def test_films_and_masks_fit_each_other(cohort):
    raw = cohort / "raw/synthetic"
    for path in (raw / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        with Image.open(raw / "images" / f"{path.name.split('__')[0]}.png") as film:
            assert film.mode == "L"
            assert film.height == 128
            assert mask.shape == (film.height, film.width)
        assert mask.dtype == np.bool_
        assert mask.any()


def test_the_same_settings_draw_the_same_files(tmp_path):
    settings = {"patients": 5, "height_px": 64}
    first, again = (contents(run(tmp_path / name, draw=settings)) for name in ("first", "again"))
    assert len(first) > 10
    assert first == again
    assert contents(run(tmp_path / "other", draw={**settings, "seed": 3})) != first


def test_nothing_is_drawn_for_others(tmp_path):
    raw = run(tmp_path / "real", sources=["kermany"])
    assert list(raw.iterdir()) == []
