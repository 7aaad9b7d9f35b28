"""What drift is compared with: every image that was not trained on, and nothing that tells whose it is."""

import numpy as np
import pandas as pd
import pytest

from models.reading import read_radiograph_file
from monitoring.features import appearance
from pipelines.reference import main


@pytest.fixture(scope="module")
def rows(cohort):
    return pd.read_parquet(cohort / "splits/pneumonia.parquet")


@pytest.fixture(scope="module")
def reference(cohort, bundle_folder):
    path = cohort / "reference/pneumonia/reference.parquet"
    main(str(bundle_folder), str(cohort / "splits/pneumonia.parquet"), str(cohort / "shards"), str(path))
    return pd.read_parquet(path)


def test_it_holds_every_image_that_was_not_trained_on(reference, rows):
    assert len(reference) == (rows["split"] != "train").sum() > 0
    assert set(reference["source"]) == {"synthetic"}


def test_it_holds_no_identity(reference, rows):
    findings = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
    features = ("mean", "std", "p01", "p50", "p99", "sharpness", "border", "aspect", "height_px", "width_px")
    assert list(reference.columns) == [
        "source", *(f"score {name}" for name in findings), *(f"appearance {name}" for name in features), "embedding"
    ]  # fmt: skip
    identities = {*rows["group"], *rows["sha256"], *rows["image"]}
    assert identities.isdisjoint(str(value) for value in reference.drop(columns="embedding").to_numpy().ravel())


def test_its_figures_are_those_of_the_files(reference, rows, bundle, cohort):
    images = rows[rows["split"] != "train"]["image"]
    expected = []
    for image in images:
        radiograph = read_radiograph_file(cohort / "raw/synthetic" / image)
        (prediction,) = bundle.predict([radiograph])
        expected.append((*prediction.scores, *appearance(radiograph).values(), *prediction.embedding))
    found = [(*row[1:-1], *row[-1]) for row in reference.itertuples(index=False)]
    assert {len(row) for row in found} == {3 + 10 + 128}
    # Shards are in an order of their own; a score to six digits tells the images apart.
    assert np.array(sorted(found)) == pytest.approx(np.array(sorted(expected)), abs=1e-5)
