"""What the AUROC of each finding is without looking at disease: from how an image was made, and from where it comes.

Both probes learn from the training images and are asked about the test images, as the model is.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.bundle import Manifest
from models.scoring import auroc
from pipelines.audit.probes import trivial_features
from pipelines.evaluate.samples import UNDEFINED, Estimate, Samples, estimate
from pipelines.facts import TRIVIAL
from pipelines.params import Evaluate
from pipelines.shards import read_columns

PROBES = ("trivial", "source")
NEAR = 0.03
"""A finding is confounded where a probe comes this near the model's AUROC."""
_SEED = 1


def probe_figures(
    settings: Evaluate, manifest: Manifest, training: pd.DataFrame, test: pd.DataFrame, shards: Path
) -> dict[str, Any]:
    """The probes of each finding beside its model.

    Args:
        settings: of the bootstrap.
        manifest: of the model.
        training: rows of the training images, with the labels that count.
        test: of the test images, likewise, and with predictions.
        shards: holds a folder a source.

    Returns:
        For each finding the AUROCs on the same test images of `model`, `trivial` (a random forest on trivial features)
        and `source` (the share present in the image's source, among the training images), each `{value, low, high}`;
        whether it is `confounded`; and the trivial `feature` that tells most by itself. None where not defined.
    """
    features = trivial_features(_with_facts(pd.concat([training, test]), shards))
    learnt, asked = features[: len(training)], features[len(training) :]
    samples = Samples(test["group"], settings)
    found = {}
    for finding in manifest.findings:
        known = training[finding].notna().to_numpy()
        present = training[finding].to_numpy()[known] >= 0.5
        chances, feature = {"model": test[f"score {finding}"].to_numpy(np.float64)}, None
        if present.any() and not present.all():
            chances["trivial"] = _by_trivial(learnt[known], present, asked)
            chances["source"] = _by_source(training["source"][known], present, test["source"])
            feature = _most_telling(learnt[known], present)
        estimates = dict.fromkeys(PROBES, estimate(UNDEFINED)) | _aurocs(samples, test[finding], chances)
        found[finding] = estimates | {"confounded": is_confounded(estimates), "feature": feature}
    return found


def is_confounded(estimates: Mapping[str, Estimate]) -> bool:
    """Whether a probe that tells anything comes near the model.

    Args:
        estimates: AUROCs of `model`, `trivial` and `source`.
    """
    model = estimates["model"]["value"]
    for probe in PROBES:
        value, low = estimates[probe]["value"], estimates[probe]["low"]
        if model is not None and value is not None and low is not None and low > 0.5 and value >= model - NEAR:
            return True
    return False


def _with_facts(rows: pd.DataFrame, shards: Path) -> pd.DataFrame:
    tables = [
        table.to_pandas().assign(source=source)
        for source in rows["source"].unique()
        for table in read_columns(shards / source, ("image", *TRIVIAL))
    ]
    facts = pd.concat(tables, ignore_index=True)
    return rows[["source", "image", "view_position"]].merge(
        facts, on=["source", "image"], how="left", validate="one_to_one"
    )


def _by_trivial(learnt: pd.DataFrame, present: NDArray[np.bool_], asked: pd.DataFrame) -> NDArray[np.float64]:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(60, max_depth=6, min_samples_leaf=10, random_state=_SEED).fit(learnt, present)
    chances: NDArray[np.float64] = forest.predict_proba(asked)[:, 1]
    return chances


def _by_source(of_training: pd.Series, present: NDArray[np.bool_], of_test: pd.Series) -> NDArray[np.float64]:
    shares = pd.Series(present, of_training.to_numpy()).groupby(level=0).mean()
    return of_test.map(shares).fillna(present.mean()).to_numpy(np.float64)


def _most_telling(learnt: pd.DataFrame, present: NDArray[np.bool_]) -> str:
    once = np.ones((1, len(present)))
    truth = present.astype(np.float64)
    distances = {str(name): abs(auroc(truth, learnt[name].to_numpy(), once)[0] - 0.5) for name in learnt}
    return max(distances, key=lambda name: distances[name])


def _aurocs(samples: Samples, labels: pd.Series, chances: Mapping[str, NDArray[np.float64]]) -> dict[str, Estimate]:
    known = labels.notna().to_numpy()
    truth = labels.to_numpy(np.float64)[known]
    found = samples.figures({name: partial(auroc, truth, chance[known]) for name, chance in chances.items()}, known)
    return {name: estimate(of_samples) for name, of_samples in found.items()}
