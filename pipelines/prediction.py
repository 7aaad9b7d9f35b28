"""What a bundle says about the images of a split, in a stream."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

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
    """The rows, in their order, with what the bundle says.

    Returns:
        For each finding the columns `logit <finding>`, `score <finding>` and `probability <finding>`, floats, and
        `present <finding>` and `uncertain <finding>`, bools; and `gate chest_radiograph`, `gate in_distribution`.
    """
    findings = bundle.manifest.findings
    found = {
        (source, image): _columns(findings, prediction)
        for source, image, _, prediction in predict_rows(bundle, rows, shards)
    }
    columns = pd.DataFrame([found[key] for key in zip(rows["source"], rows["image"], strict=True)], index=rows.index)
    return pd.concat([rows, columns], axis=1)


def _columns(findings: tuple[str, ...], prediction: Prediction) -> dict[str, Any]:
    kinds = {
        "logit": prediction.logits,
        "score": prediction.scores,
        "probability": prediction.probabilities,
        "present": prediction.present,
        "uncertain": prediction.uncertain,
    }
    of_findings = {
        name: value
        for kind, values in kinds.items()
        for name, value in zip(columns_of(kind, findings), values, strict=True)
    }
    return of_findings | {f"gate {name}": value for name, value in prediction.gates._asdict().items()}


def columns_of(kind: str, findings: tuple[str, ...]) -> list[str]:
    """Names of the columns of a kind: logit, score, probability, present or uncertain."""
    return [f"{kind} {finding}" for finding in findings]
