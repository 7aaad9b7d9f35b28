"""Control of missed findings: below which score a finding may be called absent at a stated risk.

Split conformal prediction, conditional on the label (Vovk 2012, Conditional Validity of Inductive Conformal
Predictors): a new positive scores below the k-th lowest of n known ones with a probability of at most k / (n + 1),
whatever the model and however wrong its probabilities, if it could as well have been one of the n.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.findings import Head, TaskKind, columns_of_heads

Array = NDArray[np.floating]


class Conformal(BaseModel):
    """Thresholds of the answer "absent".

    Attributes:
        risk: the share of images with a finding that may be called free of it.
        absent_below: a score a finding; from there upwards it cannot be called absent. 0 where it never may be: too few
            images are known with the finding to bear the risk out. The classes of a multiclass head share one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    risk: float = Field(ge=0, lt=1)
    absent_below: tuple[Annotated[float, Field(ge=0, le=1)], ...]

    def uncertain(self, heads: Sequence[Head], scores: Array, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where the answer is neither present nor absent.

        Args:
            heads: of the model.
            scores: (n, findings) in [0, 1].
            present: (n, findings), whether the score reaches the operating point.

        Returns:
            (n, findings). Of a multilabel head: not present, and not below the threshold. Of a multiclass head: the
            classes not below the threshold, unless it is one alone; if there is none, the class of the highest score.
        """
        possible: NDArray[np.bool_] = scores >= np.asarray(self.absent_below)
        uncertain: NDArray[np.bool_] = possible & ~present
        for head, columns in columns_of_heads(heads):
            if head.kind is TaskKind.MULTICLASS:
                uncertain[:, columns] = _undecided(possible[:, columns], scores[:, columns])
        return uncertain


def _undecided(possible: NDArray[np.bool_], scores: Array) -> NDArray[np.bool_]:
    classes = possible.sum(axis=1, keepdims=True)
    likeliest = np.arange(scores.shape[1]) == scores.argmax(axis=1, keepdims=True)
    undecided: NDArray[np.bool_] = np.where(classes == 0, likeliest, possible & (classes != 1))
    return undecided


def fit_conformal(heads: Sequence[Head], labels: Array, scores: Array, risk: float) -> Conformal:
    """The thresholds at which at most the stated share of images with a finding is called free of it.

    Holds on average over images exchangeable with these: of the same kind and, strictly, one a patient. For a
    multiclass head the risk is that the true class is not among the possible ones, over all classes together.

    Args:
        heads: of the model.
        labels: (n, findings); 1 present, 0 absent, NaN not labelled; images that neither trained nor chose the model.
        scores: (n, findings) in [0, 1].
        risk: in [0, 1).
    """
    absent_below: list[float] = []
    for head, columns in columns_of_heads(heads):
        of_head, positive = scores[:, columns], labels[:, columns] == 1
        if head.kind is TaskKind.MULTICLASS:
            absent_below += [_threshold(of_head[positive], risk)] * len(head.findings)
        else:
            absent_below += [_threshold(of_head[positive[:, at], at], risk) for at in range(len(head.findings))]
    return Conformal(risk=risk, absent_below=tuple(absent_below))


def _threshold(of_positives: Array, risk: float) -> float:
    ranks = np.arange(1, len(of_positives) + 1)
    # k of floor(risk * (n + 1)), but 29 of 99 for 0.29, whose product is 28.999999999999996
    bearable = np.count_nonzero(ranks / (len(of_positives) + 1) <= risk)
    return float(np.sort(of_positives)[bearable - 1]) if bearable else 0.0


def unlimited(heads: Sequence[Head]) -> Conformal:
    """No risk at all: nothing may be called absent."""
    return Conformal(risk=0.0, absent_below=(0.0,) * sum(len(head.findings) for head in heads))
