"""Manifests and tables of predictions, as a test writes them down."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.backbones import find_backbone
from models.bundle import Manifest, Terms, Training
from models.calibration import uncalibrated
from models.conformal import Conformal
from models.findings import Head, TaskKind
from pipelines.params import Evaluate

SETTINGS = Evaluate(replicates=200, seed=1)
THREE = Head(name="three", kind=TaskKind.MULTICLASS, findings=("Normal", "Bacterial Pneumonia", "Viral Pneumonia"))


def head(*findings: str) -> Head:
    return Head(name=findings[0].lower(), kind=TaskKind.MULTILABEL, findings=findings)


def manifest(
    *heads: Head, point: float = 0.5, absent_below: float = 0.2, sources: Mapping[str, Sequence[str]] | None = None
) -> Manifest:
    """Of a model with these heads; `sources` says which train one, by its name."""
    count = sum(len(one.findings) for one in heads)
    settings = [
        {"name": one.name, "findings": list(one.findings), "sources": list((sources or {}).get(one.name, []))}
        for one in heads
    ]
    return Manifest(
        name="small",
        task="pneumonia" if heads == (THREE,) else "thoracic",
        heads=heads,
        preprocessing=find_backbone("baseline_cnn").preprocessing,
        operating_points=(point,) * count,
        calibration=uncalibrated(heads),
        conformal=Conformal(risk=0.1, absent_below=(absent_below,) * count),
        age_group="any",
        terms=Terms(shareable=True, by_source={}),
        training=Training(
            backbone="baseline_cnn",
            sources=("one",),
            drawn=False,
            images=7,
            commit="0" * 40,
            data="sha256:" + "0" * 64,
            parameters={"heads": settings},
            versions={},
        ),
    )


def predicted(
    model: Manifest, labels: Mapping[str, Sequence[float]], scores: Mapping[str, Sequence[float]], **columns: Any
) -> pd.DataFrame:
    """Rows of the test split with predictions, as `prediction_table` and the stage make them; each of a patient."""
    rows = pd.DataFrame({name: np.asarray(values, np.float64) for name, values in labels.items()})
    count = len(rows)
    about = {"source": "one", "split": "test", "view_position": None, "sex": None, "age_group": None}
    rows = rows.assign(image=[f"{n}.png" for n in range(count)], group=[f"g{n}" for n in range(count)], **about)
    values = np.stack([np.asarray(scores[finding], np.float64) for finding in model.findings], axis=1)
    present = values >= np.asarray(model.operating_points)
    uncertain = model.conformal.uncertain(model.heads, values, present)
    for at, finding in enumerate(model.findings):
        rows[f"score {finding}"] = rows[f"probability {finding}"] = values[:, at]
        rows[f"present {finding}"], rows[f"uncertain {finding}"] = present[:, at], uncertain[:, at]
    return rows.assign(**{"gate chest_radiograph": 1.0, "gate in_distribution": 1.0}).assign(**columns)
