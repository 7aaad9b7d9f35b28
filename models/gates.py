"""What is asked of every input before a finding is reported: a frontal chest radiograph, like those known, of age?

The first two are answered from the embedding, which the graph gives in the same pass as the scores. `chest_radiograph`
is a logistic regression of chests against pictures of anything else; `in_distribution` ranks a Mahalanobis distance
(Lee et al. 2018, A Simple Unified Framework for Detecting Out-of-Distribution Samples) along the leading principal
components, to which the length of what lies outside of them counts as one more (Wang et al. 2022, ViM).
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.errors import BundleFormatError

Array = NDArray[np.floating]
AgeGroup = Literal["child", "adult", "any"]
AgeVerdict = Literal["answers", "warns", "refuses"]

CHEST_RADIOGRAPH_FROM = 0.5
IN_DISTRIBUTION_FROM = 0.01
"""From where on a gate is open."""
ADULT_FROM_YEARS = 18

_COMPONENTS = 64
_INVERSE_PENALTY = 0.1
# To refuse a chest costs more than to look at something else, and a service is sent few other things. With this prior,
# ImageNet's features pass 94 to 100 % of the chests of a site that they were not fitted on; without it, 76 to 100 %.
_CHESTS_FOR_ONE_OTHER = 10
_QUANTILES = 1001
_TAIL_FROM = 0.9
_SMALLEST = 1e-6
# No backbone's feature comes near; beyond, squares of large inputs would overflow.
_LARGEST = 1e6


class GateValues(NamedTuple):
    """How far the gates are open for one input.

    Attributes:
        chest_radiograph: in [0, 1], the probability that it is a frontal chest radiograph, where ten inputs are to one
            that is not.
        in_distribution: in [0, 1], the share of validation's chest radiographs that are at least as unlike those of
            training; 0.01 means that 99 % are more like them.
    """

    chest_radiograph: float
    in_distribution: float


@dataclass(frozen=True, slots=True, eq=False)
class Gates:
    """The two gates in an embedding's space; all arrays are small enough for a bundle.

    Attributes:
        mean: (features,) float32, of the training chests.
        scale: (features,) float32, above 0: the deviations of chests and others together.
        weights: (features,) float16, of the standardised embedding in the logit of `chest_radiograph`.
        bias: () float32, of that logit.
        components: (k, features) float16, orthonormal rows in the standardised space.
        deviations: (k,) float32, above 0, of the training chests along the components.
        residual: (2,) float32, mean and deviation, above 0, of validation's distances from the components' plane.
        distances: (1001,) float32, rising: quantiles of validation's distances, from the nearest to the farthest.
        tail: (2,) float32, the share at the farthest, and the distance, above 0, in which it falls by e beyond.
    """

    mean: Array
    scale: Array
    weights: Array
    bias: Array
    components: Array
    deviations: Array
    residual: Array
    distances: Array
    tail: Array

    @classmethod
    def open_to_all(cls, features: int) -> Self:
        """Gates that give (1, 1) for any embedding of so many features."""
        return cls(
            mean=np.zeros(features, np.float32),
            scale=np.ones(features, np.float32),
            weights=np.zeros(features, np.float16),
            bias=np.array(100, np.float32),
            components=np.zeros((0, features), np.float16),
            deviations=np.zeros(0, np.float32),
            residual=np.array([0, 1], np.float32),
            distances=np.full(_QUANTILES, np.finfo(np.float32).max),
            tail=np.ones(2, np.float32),
        )

    def values(self, embeddings: Array) -> list[GateValues]:
        """How far the gates are open for each of (n, features) embeddings; finite for finite ones.

        Raises:
            ValueError: embeddings of another width.
        """
        if embeddings.shape[1:] != self.mean.shape:
            raise ValueError(f"expected embeddings of shape (n, {self.mean.size}), but received {embeddings.shape}")
        standard = _standardised(embeddings, self.mean, self.scale)
        with np.errstate(over="ignore"):
            chests = 1 / (1 + np.exp(-(standard @ self.weights.astype(np.float64) + float(self.bias))))
        distances = _distances(standard, self.components, self.deviations, self.residual)
        least, decay = self.tail.astype(np.float64)
        shares = np.interp(distances, self.distances, np.linspace(1, least, len(self.distances)))
        shares *= np.exp(-np.maximum(distances - self.distances[-1], 0) / decay)
        return [GateValues(float(chest), float(share)) for chest, share in zip(chests, shares, strict=True)]

    def save(self, path: Path) -> None:
        """Writes the arrays to a compressed .npz file, 200 kB at most for 1280 features."""
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(path, allow_pickle=False, **arrays)


def load_gates(path: Path) -> Gates:
    """What `Gates.save` wrote.

    Raises:
        BundleFormatError: the file is missing or broken, or its arrays are not those of gates.
    """
    try:
        # np.load would leave a broken archive open that it has opened itself.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            gates = Gates(**{field.name: stored[field.name] for field in fields(Gates)})
    except Exception as error:  # zipfile, zlib and NumPy's header reader raise without a common root
        raise BundleFormatError(path=path, reason="it holds no readable gates") from error
    count, features = len(gates.deviations.ravel()), gates.mean.size
    shapes = [(features,)] * 3 + [(), (count, features), (count,), (2,), (_QUANTILES,), (2,)]
    for field, shape in zip(fields(Gates), shapes, strict=True):
        array = getattr(gates, field.name)
        if array.dtype.kind != "f" or array.shape != shape or not np.isfinite(array).all():
            reason = f"its {field.name} is no array of {shape} finite numbers, but {array.dtype} {array.shape}"
            raise BundleFormatError(path=path, reason=reason)
    positive = np.concatenate([gates.scale, gates.deviations, gates.residual[1:], gates.tail])
    if not (positive > 0).all() or gates.tail[0] > 1 or (np.diff(gates.distances) < 0).any():
        raise BundleFormatError(path=path, reason="its deviations are not all above 0, or its distances do not rise")
    return gates


def fit_gates(chests: Array, decoys: Array, validation: Array, seed: int) -> Gates:
    """Gates that tell chests from decoys, and chests like those of training from others.

    Whatever is stored is rounded first, so that what is measured on validation is what serves.

    Args:
        chests: (n, features), n >= 2: the embeddings of training's chest radiographs.
        decoys: (m, features), m >= 1: those of pictures of anything else.
        validation: (k, features), k >= 2: those of other chest radiographs, for the distances.
        seed: of the search for components, where there are many features.

    Raises:
        ValueError: too few embeddings, of different widths, or not finite.
    """
    from sklearn.linear_model import LogisticRegression

    _check_embeddings(chests, decoys, validation)
    pictures = np.concatenate([chests, decoys]).astype(np.float64)
    mean = pictures[: len(chests)].mean(axis=0).astype(np.float32)
    spread = pictures.std(axis=0)
    scale = np.where(spread > _SMALLEST, spread, 1).astype(np.float32)
    standard = _standardised(pictures, mean, scale)
    told = LogisticRegression(C=_INVERSE_PENALTY, class_weight="balanced", max_iter=1000)
    told.fit(standard, np.arange(len(pictures)) < len(chests))

    bias = np.array(told.intercept_[0] + np.log(_CHESTS_FOR_ONE_OTHER), np.float32)

    components, deviations = _principal(standard[: len(chests)], seed)
    other = _standardised(validation, mean, scale)
    outside = _outside(other, components)
    residual = np.array([outside.mean(), max(outside.std(), _SMALLEST)], np.float32)
    distances, tail = _survival(_distances(other, components, deviations, residual))
    return Gates(mean, scale, told.coef_[0].astype(np.float16), bias, components, deviations, residual, distances, tail)


def age_group_of(age_years: float | None) -> Literal["child", "adult", "unknown"]:
    """The group of a patient of that age."""
    if age_years is None:
        return "unknown"
    return "child" if age_years < ADULT_FROM_YEARS else "adult"


def age_verdict(age_group: AgeGroup, age_years: float | None) -> AgeVerdict:
    """Whether a model of one age group answers for a patient.

    Args:
        age_group: whom its training images show.
        age_years: of the patient; None where unknown.

    Returns:
        "refuses" for a patient known to be of the other group, "warns" where that is not known.
    """
    if age_group == "any":
        return "answers"
    if age_years is None:
        return "warns"
    return "answers" if (age_years >= ADULT_FROM_YEARS) == (age_group == "adult") else "refuses"


def _check_embeddings(chests: Array, decoys: Array, validation: Array) -> None:
    shapes = [chests.shape, decoys.shape, validation.shape]
    enough = len(chests) >= 2 and len(decoys) >= 1 and len(validation) >= 2
    if not enough or {shape[1:] for shape in shapes} != {chests.shape[1:2]}:
        raise ValueError(
            f"expected (n, features) embeddings of at least 2 chests, 1 decoy and 2 validation chests, not {shapes}"
        )
    if not all(np.isfinite(embeddings).all() for embeddings in (chests, decoys, validation)):
        raise ValueError(
            "expected finite embeddings, but received NaN or infinity; see that the network's weights are finite"
        )


def _standardised(embeddings: Array, mean: Array, scale: Array) -> NDArray[np.float64]:
    return (np.clip(np.asarray(embeddings, np.float64), -_LARGEST, _LARGEST) - mean) / scale


def _principal(chests: NDArray[np.float64], seed: int) -> tuple[Array, Array]:
    """The leading components of standardised chests (n, features), and the deviations along them, shrunk to their mean.

    How far is Ledoit and Wolf's choice (2004, A well-conditioned estimator for large-dimensional covariance matrices).
    """
    from sklearn.covariance import ledoit_wolf_shrinkage
    from sklearn.decomposition import PCA

    principal = PCA(min(_COMPONENTS, len(chests) - 1, chests.shape[1]), random_state=seed)
    shrinkage = ledoit_wolf_shrinkage(principal.fit_transform(chests))
    variances = principal.explained_variance_
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.mean()
    deviations = np.sqrt(np.maximum(shrunk, _SMALLEST))
    return principal.components_.astype(np.float16), deviations.astype(np.float32)


def _outside(standard: NDArray[np.float64], components: Array) -> NDArray[np.float64]:
    """(n,) lengths of what the components do not explain."""
    rows = components.astype(np.float64)
    lengths: NDArray[np.float64] = np.linalg.norm(standard - standard @ rows.T @ rows, axis=1)
    return lengths


def _distances(
    standard: NDArray[np.float64], components: Array, deviations: Array, residual: Array
) -> NDArray[np.float64]:
    """(n,) Mahalanobis distances, with the length outside the components, where above its mean, as one more."""
    along = standard @ components.astype(np.float64).T / deviations
    beyond = np.maximum((_outside(standard, components) - residual[0]) / residual[1], 0)
    distances: NDArray[np.float64] = np.sqrt(np.square(along).sum(axis=1) + np.square(beyond))
    return distances


def _survival(distances: NDArray[np.float64]) -> tuple[Array, Array]:
    """The quantiles of distances, and the tail beyond: exponential, as far as the farthest tenth exceeds the others."""
    quantiles = np.quantile(distances, np.linspace(0, 1, _QUANTILES))
    begin = np.quantile(distances, _TAIL_FROM)
    excess = (distances[distances > begin] - begin).mean() if (distances > begin).any() else 0.0
    tail = [1 / (1 + len(distances)), max(excess, _SMALLEST)]
    return quantiles.astype(np.float32), np.array(tail, np.float32)
