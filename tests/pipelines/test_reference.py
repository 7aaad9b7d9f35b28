"""What drift is compared with: every image that was not trained on, and nothing that tells whose it is."""

import numpy as np
import pandas as pd
import pytest

from models.radiograph import Radiograph
from models.reading import read_radiograph_file
from monitoring.features import appearance
from pipelines.reference import main, reference
from tests.pipelines.bundles import FEATURES, stub_bundle, thoracic, write_radiographs


@pytest.fixture(scope="module")
def rows(cohort):
    return pd.read_parquet(cohort / "splits/pneumonia.parquet")


@pytest.fixture(scope="module")
def written(cohort, bundle_folder):
    path = cohort / "reference/pneumonia/reference.parquet"
    main(str(bundle_folder), str(cohort / "splits/pneumonia.parquet"), str(cohort / "shards"), str(path))
    return pd.read_parquet(path)


def test_it_holds_every_image_that_was_not_trained_on(written, rows):
    assert len(written) == (rows["split"] != "train").sum() > 0
    assert set(written["source"]) == {"synthetic"}


def test_it_holds_no_identity(written, rows):
    findings = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
    features = ("mean", "std", "p01", "p50", "p99", "sharpness", "border", "aspect", "height_px", "width_px")
    assert list(written.columns) == [
        "source", *(f"score {name}" for name in findings), *(f"appearance {name}" for name in features), "embedding"
    ]  # fmt: skip
    identities = {*rows["group"], *rows["sha256"], *rows["image"]}
    assert identities.isdisjoint(str(value) for value in written.drop(columns="embedding").to_numpy().ravel())


def test_its_figures_are_those_of_the_files(written, rows, bundle, cohort):
    images = rows[rows["split"] != "train"]["image"]
    expected = []
    for image in images:
        radiograph = read_radiograph_file(cohort / "raw/synthetic" / image)
        (prediction,) = bundle.predict([radiograph])
        expected.append((*prediction.scores, *appearance(radiograph).values(), *prediction.embedding))
    found = [(*row[1:-1], *row[-1]) for row in written.itertuples(index=False)]
    assert {len(row) for row in found} == {3 + 10 + 128}
    # Shards are in an order of their own; a score to six digits tells the images apart.
    assert np.array(sorted(found)) == pytest.approx(np.array(sorted(expected)), abs=1e-5)


def test_a_model_of_some_findings_of_its_task_has_scores_of_those(manifest, tmp_path):
    write_radiographs(tmp_path, "one", {"a.png": Radiograph(np.full((64, 64), 90, np.uint8))})
    table = tmp_path / "table.parquet"
    pd.DataFrame({"source": ["one"], "image": ["a.png"], "split": ["test"]}).to_parquet(table)
    scores, maps = np.array([[0.25, 0.75]], np.float32), np.zeros((1, 1, 1, 2), np.float32)
    bundle = stub_bundle(thoracic(manifest, "Nodule", "Mass"), lambda batch: (scores, maps))
    (row,) = reference(bundle, table, tmp_path).to_dict("records")
    assert {name: row[name] for name in row if name.startswith("score")} == {"score Nodule": 0.25, "score Mass": 0.75}
    assert len(row["embedding"]) == FEATURES
