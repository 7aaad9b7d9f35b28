"""The pipeline's scores are those of the file itself."""

import numpy as np
import pandas as pd
import pytest

from models.reading import read_radiograph_file
from pipelines.prediction import columns_of, predict_rows, prediction_table


@pytest.fixture(scope="module")
def rows(cohort):
    return pd.read_parquet(cohort / "splits/pneumonia.parquet")


@pytest.fixture(scope="module")
def predicted(bundle, rows, cohort):
    return prediction_table(bundle, rows, cohort / "shards")


def test_scores_equal_those_of_the_file(bundle, rows, predicted, cohort):
    for kind in ("logit", "score", "probability"):
        found = predicted[columns_of(kind, bundle.task.findings)].to_numpy()
        for image, values in list(zip(rows["image"], found, strict=True))[:10]:
            (prediction,) = bundle.predict([read_radiograph_file(cohort / "raw/synthetic" / image)])
            expected = {"logit": prediction.logits, "score": prediction.scores, "probability": prediction.probabilities}
            assert values == pytest.approx(expected[kind], abs=1e-6)


def test_rows_keep_their_order_and_their_columns(rows, predicted, bundle, cohort):
    pd.testing.assert_frame_equal(predicted[rows.columns], rows)
    backwards = prediction_table(bundle, rows.iloc[::-1], cohort / "shards")
    assert backwards.index.tolist() == rows.index.tolist()[::-1]
    scores = columns_of("score", bundle.task.findings)
    assert np.array_equal(backwards[scores].to_numpy()[::-1], predicted[scores].to_numpy())


def test_images_differ_in_their_scores(predicted, bundle):
    assert predicted[f"score {bundle.task.findings[0]}"].nunique() == len(predicted)


def test_each_row_is_predicted_once(bundle, rows, cohort):
    some = rows.head(40)
    streamed = [(source, image) for source, image, _, _ in predict_rows(bundle, some, cohort / "shards")]
    assert sorted(streamed) == sorted(zip(some["source"], some["image"], strict=True))


def test_names_of_columns():
    assert columns_of("score", ("Normal", "Viral Pneumonia")) == ["score Normal", "score Viral Pneumonia"]
