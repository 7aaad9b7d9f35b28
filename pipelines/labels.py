"""From the rows of a split to what a network learns: for each finding of each image a label, and how much it counts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import LabelsError
from models.findings import Head, Task, TaskKind, columns_of_heads
from pipelines.params import HeadSettings

Labels = NDArray[np.float32]


def heads_of(task: Task, settings: Sequence[HeadSettings], rows: pd.DataFrame) -> tuple[Head, ...]:
    """The heads that params.yaml asks for; without any, one of all findings of the task that can be learnt.

    Args:
        task: of the model.
        settings: of the heads.
        rows: of the split table, with the columns of the task's findings.

    Raises:
        LabelsError: a head names a finding of another task or one twice, or a source that is not there, or one of its
            findings has no known positive or no known negative among its training images.
    """
    training = rows[rows["split"] == "train"]
    if not settings:
        learnable = tuple(name for name in task.findings if training[name].nunique() > 1)
        if not learnable or (task.kind is TaskKind.MULTICLASS and len(learnable) < len(task.findings)):
            missing = ", ".join(sorted(set(task.findings) - set(learnable)))
            raise LabelsError(task=task.name, reason=f"no training image, or every one, shows {missing}.")
        return (Head(name=task.name, kind=task.kind, findings=learnable),)
    for head in settings:
        _check(task, head, training)
    findings = [name for head in settings for name in head.findings]
    if len(set(findings)) < len(findings):
        raise LabelsError(task=task.name, reason=f"expected each finding in one head, but received {findings}.")
    return tuple(Head(name=head.name, kind=task.kind, findings=tuple(head.findings)) for head in settings)


def _check(task: Task, head: HeadSettings, training: pd.DataFrame) -> None:
    other = [name for name in head.findings if name not in task.findings]
    if other:
        raise LabelsError(task=task.name, reason=f"head {head.name}: {other[0]!r} is no finding of this task.")
    if task.kind is TaskKind.MULTICLASS and set(head.findings) != set(task.findings):
        raise LabelsError(task=task.name, reason=f"head {head.name} needs all of {', '.join(task.findings)}.")
    unknown = set(head.sources) - set(training["source"])
    if unknown:
        reason = f"head {head.name}: source {min(unknown)!r} has no training image; see sources in params.yaml."
        raise LabelsError(task=task.name, reason=reason)
    of_head = training[training["source"].isin(head.sources)] if head.sources else training
    for finding in head.findings:
        for value, word in ((1, "positive"), (0, "negative")):
            if not (of_head[finding].round() == value).any():
                where = ", ".join(head.sources) or "any source"
                reason = (
                    f"head {head.name}: {finding} has no known {word} among the training images of {where}. "
                    "Take it out of the head in params.yaml, or add a source that labels it."
                )
                raise LabelsError(task=task.name, reason=reason)


def labels_of(heads: Sequence[Head], settings: Sequence[HeadSettings], rows: pd.DataFrame) -> Labels:
    """(images, findings) float32 in [0, 1]; NaN where not labelled, or where the source does not train the head."""
    labels = rows[[name for head in heads for name in head.findings]].to_numpy(np.float32, copy=True)
    for (_, columns), head in zip(columns_of_heads(heads), settings, strict=False):
        if head.sources:
            labels[~rows["source"].isin(head.sources).to_numpy(), columns] = np.nan
    return labels


def weights_of(
    heads: Sequence[Head], labels: Labels, sources: Sequence[str], class_balance: float, source_balance: float
) -> Labels:
    """How much each label counts: 0 where it is unknown, 1 a known label of an image on average over all images.

    So a head that few images train pulls as hard as one that all train.

    Args:
        heads: whose findings stand side by side.
        labels: (images, findings) float32, NaN unknown.
        sources: of the images.
        class_balance: 0 counts every image alike, 1 makes positives of a finding weigh as much as its negatives.
        source_balance: 0 counts every image alike, 1 makes each source of a head weigh as much as another.

    Returns:
        (images, findings) float32, not negative.
    """
    weights = np.zeros_like(labels)
    of_source = np.asarray(sources)
    for head, columns in columns_of_heads(heads):
        known: NDArray[np.bool_] = ~np.isnan(labels[:, columns])
        counted = known.astype(np.float32)
        counted *= _evened_out(of_source, any_of(known), source_balance)[:, np.newaxis]
        if head.kind is TaskKind.MULTICLASS:
            classes = np.nan_to_num(labels[:, columns]).argmax(axis=1)
            counted *= _evened_out(classes, any_of(known), class_balance)[:, np.newaxis]
        else:
            for column in range(known.shape[1]):
                present = labels[:, columns][:, column] >= 0.5
                counted[:, column] *= _evened_out(present, known[:, column], class_balance)
        total = counted.sum(axis=0, keepdims=True)
        weights[:, columns] = counted * len(labels) / np.where(total > 0, total, 1)
    return weights


def any_of(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(images,) whether an image has any known label, from (images, findings)."""
    return np.asarray(known.any(axis=1))


def _evened_out(kind: NDArray[np.generic], known: NDArray[np.bool_], balance: float) -> Labels:
    """(images,) how much each known image counts if kinds are evened out by this much; the mean over known is 1."""
    factor = np.zeros(len(kind), np.float32)
    values, index, counts = np.unique(kind[known], return_inverse=True, return_counts=True)
    if len(values):
        share = (counts / counts.mean()) ** -balance
        factor[known] = (share / np.average(share, weights=counts))[index]
    return factor
