"""The pipeline's scores are those of the file itself."""

import numpy as np
import pandas as pd
import pytest

from models.radiograph import Radiograph
from models.reading import read_radiograph_file
from pipelines.prediction import columns_of, predict_rows, prediction_table
from tests.pipelines.bundles import stub_bundle, thoracic, write_radiographs


@pytest.fixture(scope="module")
def rows(cohort):
    return pd.read_parquet(cohort / "splits/pneumonia.parquet")


@pytest.fixture(scope="module")
def predicted(bundle, rows, cohort):
    return prediction_table(bundle, rows, cohort / "shards")


def test_answers_equal_those_of_the_file(bundle, predicted, cohort):
    for _, row in predicted.head(10).iterrows():
        (prediction,) = bundle.predict([read_radiograph_file(cohort / "raw/synthetic" / row["image"])])
        for kind, expected in (
            ("logit", prediction.logits),
            ("score", prediction.scores),
            ("probability", prediction.probabilities),
            ("present", prediction.present),
            ("uncertain", prediction.uncertain),
        ):
            found = row[columns_of(kind, bundle.manifest.findings)].to_numpy(np.float64)
            assert found == pytest.approx(expected.astype(np.float64), abs=1e-6), kind
        gates = row[["gate chest_radiograph", "gate in_distribution"]].tolist()
        assert gates == pytest.approx(list(prediction.gates), abs=1e-6)


def test_decisions_are_bools_and_gates_are_shares(predicted, bundle):
    for kind in ("present", "uncertain"):
        assert set(predicted[columns_of(kind, bundle.manifest.findings)].dtypes) == {np.dtype(bool)}
    assert predicted[["gate chest_radiograph", "gate in_distribution"]].stack().between(0, 1).all()


def test_a_model_of_some_findings_of_its_task_answers_about_those(manifest, tmp_path):
    write_radiographs(tmp_path, "one", {"a.png": Radiograph(np.full((64, 64), 90, np.uint8))})
    rows = pd.DataFrame({"source": ["one"], "image": ["a.png"]})
    scores, maps = np.array([[0.25, 0.75]], np.float32), np.zeros((1, 1, 1, 2), np.float32)
    bundle = stub_bundle(thoracic(manifest, "Nodule", "Mass"), lambda batch: (scores, maps))
    predicted = prediction_table(bundle, rows, tmp_path)
    assert predicted[["score Nodule", "score Mass"]].iloc[0].tolist() == [0.25, 0.75]
    assert predicted[["present Nodule", "present Mass"]].iloc[0].tolist() == [False, True]
    assert not [column for column in predicted if "Atelectasis" in column]


def test_rows_keep_their_order_and_their_columns(rows, predicted, bundle, cohort):
    pd.testing.assert_frame_equal(predicted[rows.columns], rows)
    backwards = prediction_table(bundle, rows.iloc[::-1], cohort / "shards")
    assert backwards.index.tolist() == rows.index.tolist()[::-1]
    scores = columns_of("score", bundle.manifest.findings)
    assert np.array_equal(backwards[scores].to_numpy()[::-1], predicted[scores].to_numpy())


def test_images_differ_in_their_scores(predicted, bundle):
    assert predicted[f"score {bundle.manifest.findings[0]}"].nunique() == len(predicted)


def test_each_row_is_predicted_once(bundle, rows, cohort):
    some = rows.head(40)
    streamed = [(source, image) for source, image, _, _ in predict_rows(bundle, some, cohort / "shards")]
    assert sorted(streamed) == sorted(zip(some["source"], some["image"], strict=True))


def test_names_of_columns():
    assert columns_of("score", ("Normal", "Viral Pneumonia")) == ["score Normal", "score Viral Pneumonia"]
