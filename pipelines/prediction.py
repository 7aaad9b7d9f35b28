"""What a bundle says about the images of a split, in a stream."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd

from models.bundle import Bundle, Prediction
from models.radiograph import Radiograph
from pipelines.shards import read_shards

_BATCH = 32


def predict_rows(bundle: Bundle, rows: pd.DataFrame, shards: Path) -> Iterator[tuple[str, str, Radiograph, Prediction]]:
    """(source, image, radiograph, prediction) of each row of a split table, in the shards' order.

    Pixels come from the shards; they equal what `read_radiograph` gives for the file, so the predictions do too.
    """
    for source, of_source in rows.groupby("source"):
        images = read_shards(shards / str(source), set(of_source["image"]))
        while batch := list(islice(images, _BATCH)):
            predictions = bundle.predict([radiograph for _, radiograph in batch])
            for (image, radiograph), prediction in zip(batch, predictions, strict=True):
                yield str(source), image, radiograph, prediction


def prediction_table(bundle: Bundle, rows: pd.DataFrame, shards: Path) -> pd.DataFrame:
    """The rows with `logit <finding>`, `score <finding>` and `probability <finding>` columns, in the rows' order."""
    found = {}
    for source, image, _, prediction in predict_rows(bundle, rows, shards):
        kinds = {"logit": prediction.logits, "score": prediction.scores, "probability": prediction.probabilities}
        found[source, image] = {
            f"{kind} {finding}": value
            for kind, values in kinds.items()
            for finding, value in zip(bundle.task.findings, values, strict=True)
        }
    columns = pd.DataFrame([found[key] for key in zip(rows["source"], rows["image"], strict=True)], index=rows.index)
    return pd.concat([rows, columns], axis=1)


def columns_of(kind: str, findings: tuple[str, ...]) -> list[str]:
    """Names of the columns of a kind: logit, score or probability."""
    return [f"{kind} {finding}" for finding in findings]
