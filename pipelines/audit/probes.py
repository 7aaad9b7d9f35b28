"""Shortcut probes: what can be known of a finding, or of the source, without looking at disease.

Each probe is fitted and asked on different groups of images. Trivial features that come near what an ImageNet
embedding knows are a warning: a network will find them, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from pipelines.facts import TRIVIAL

MIN_GROUPS = 20
"""Of each class; with fewer, a figure says nothing."""
NEAR = 0.05
"""A warning is given where trivial features come this near the embedding's AUROC."""
_TELLS = 0.6
_FOLDS = 5
_COMPONENTS = 64
_SEED = 1

Features = NDArray[np.float32]
Chances = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found for one target.

    Attributes:
        scope: the source whose images were looked at, or "all".
        target: a finding, or "source".
        images: how many.
        trivial: AUROC of trivial features together; one source against the rest, macro, for the target "source".
        embedding: AUROC of the embedding, likewise.
        feature: the trivial feature that tells most by itself.
        feature_auroc: its AUROC, whichever way round; NaN for the target "source".
        warning: trivial features come near the embedding.
        chances: (images,) of the finding by the embedding, each from a fit that has not seen its group.
        rows: (images,) places of the images.
    """

    scope: str
    target: str
    images: int
    trivial: float
    embedding: float
    feature: str
    feature_auroc: float
    warning: bool
    chances: Chances = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)


def probe_findings(
    images: pd.DataFrame, embeddings: Features, groups: pd.Series, findings: Sequence[str]
) -> Iterator[Probe]:
    """A probe for each finding within each source that has enough groups with it and without it."""
    trivial, components = trivial_features(images), _components(embeddings)
    for source in images["source"].unique():
        for finding in findings:
            rows = np.flatnonzero((images["source"] == source) & images[finding].notna())
            labels = images[finding].to_numpy()[rows].astype(int)
            if _enough(labels, groups.to_numpy()[rows]):
                yield _probe(source, finding, rows, labels, trivial, components, groups)


def probe_source(images: pd.DataFrame, embeddings: Features, groups: pd.Series) -> Probe | None:
    """How well the source is told; None where there is one source, or one has too few groups."""
    names, labels = np.unique(images["source"], return_inverse=True)
    if len(names) < 2 or not _enough(labels, groups.to_numpy()):
        return None
    everything = trivial_features(images), _components(embeddings)
    return _probe("all", "source", np.arange(len(images)), labels, *everything, groups)


def trivial_features(images: pd.DataFrame) -> pd.DataFrame:
    """The columns of `TRIVIAL`, and the view: 1 for PA, 0 for AP, a half where unknown."""
    view = images["view_position"].map({"PA": 1.0, "AP": 0.0}).astype(float).fillna(0.5)
    return images[list(TRIVIAL)].astype(float).assign(view=view)


def _components(embeddings: Features) -> Features:
    """(images, at most 64) principal components of equal spread; they know no labels, so all images may share them."""
    if len(embeddings) < 2 * MIN_GROUPS:
        return embeddings  # nobody asks for them: there are too few groups
    count = min(_COMPONENTS, *embeddings.shape)
    whitened = PCA(count, whiten=True, svd_solver="covariance_eigh").fit_transform(embeddings)
    return np.asarray(whitened, np.float32)


def _enough(labels: NDArray[np.int64], groups: NDArray[np.str_]) -> bool:
    counts = [len(set(groups[labels == label])) for label in range(labels.max(initial=0) + 1)]
    return len(counts) > 1 and min(counts) >= MIN_GROUPS


def _probe(
    scope: str,
    target: str,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    trivial: pd.DataFrame,
    components: Features,
    groups: pd.Series,
) -> Probe:
    of_rows, folds = groups.to_numpy()[rows], StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    forest = RandomForestClassifier(60, max_depth=6, min_samples_leaf=10, random_state=_SEED)
    linear = LogisticRegression(C=0.1, max_iter=500)
    chances = [
        cross_val_predict(model, features, labels, groups=of_rows, cv=folds, method="predict_proba")
        for model, features in ((forest, trivial.iloc[rows].to_numpy()), (linear, components[rows]))
    ]
    by_trivial, by_embedding = (_auroc(labels, chance) for chance in chances)
    feature, alone = _best_feature(trivial.iloc[rows], labels)
    warning = by_trivial >= _TELLS and by_trivial >= by_embedding - NEAR
    shown = chances[1][:, 1]
    return Probe(scope, target, len(rows), by_trivial, by_embedding, feature, alone, warning, shown, rows)


def _auroc(labels: NDArray[np.int64], chances: Chances) -> float:
    if chances.shape[1] == 2:
        return float(roc_auc_score(labels, chances[:, 1]))
    return float(roc_auc_score(labels, chances, multi_class="ovr", average="macro"))


def _best_feature(trivial: pd.DataFrame, labels: NDArray[np.int64]) -> tuple[str, float]:
    if labels.max() > 1:
        return "", float("nan")
    alone = {str(name): float(roc_auc_score(labels, trivial[name])) for name in trivial}
    name = max(alone, key=lambda one: abs(alone[one] - 0.5))
    return name, max(alone[name], 1 - alone[name])
