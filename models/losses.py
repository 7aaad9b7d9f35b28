"""What a network learns from: losses of all heads together, in which an unknown label costs nothing."""

from collections.abc import Callable, Sequence
from typing import Any

from models.findings import Head, TaskKind, columns_of_heads

LABEL, WEIGHT = 0, 1
"""Places of the last axis of a target (n, findings, 2)."""

_FOCUS = 2.0  # Lin et al. 2017, gamma
_FOCUS_POSITIVE, _FOCUS_NEGATIVE, _MARGIN = 1.0, 4.0, 0.05  # Ridnik et al. 2021, the values of their paper


def loss_of(heads: Sequence[Head], kind: str, label_smoothing: float) -> Callable[[Any, Any], Any]:
    """The loss of heads side by side, on logits.

    Args:
        heads: whose findings stand side by side.
        kind: "cross_entropy", "focal" (Lin et al. 2017) or "asymmetric" (Ridnik et al. 2021).
        label_smoothing: the share of each label that is spread evenly.

    Returns:
        A function of targets (n, findings, 2) float32, the label in [0, 1] and its weight, 0 where the label is unknown
        (it may then be anything but infinite), and logits (n, findings); it gives (n,) float32: the sum over heads of
        the weighted mean over the head's findings. The weight of a multiclass head is the same in all its columns.
    """
    of_multilabel = {"cross_entropy": _cross_entropy, "focal": _focal, "asymmetric": _asymmetric}[kind]

    def loss(targets: Any, logits: Any) -> Any:
        from keras import ops

        labels, weights = targets[..., LABEL], targets[..., WEIGHT]
        labels = ops.where(weights > 0, labels, ops.zeros_like(labels))
        total = 0.0
        for head, columns in columns_of_heads(heads):
            y, x, w = labels[:, columns], ops.cast(logits[:, columns], "float32"), weights[:, columns]
            if head.kind is TaskKind.MULTICLASS:
                smooth = y * (1 - label_smoothing) + label_smoothing / len(head.findings)
                total += w[:, 0] * _softmax_loss(smooth, x, kind != "cross_entropy")
            else:
                smooth = y * (1 - label_smoothing) + label_smoothing / 2
                total += ops.mean(w * of_multilabel(smooth, x), axis=-1)
        return total

    return loss


def _softmax_loss(labels: Any, logits: Any, focused: bool) -> Any:
    """Cross-entropy of classes that exclude each other; focused, easy images count less."""
    from keras import ops

    logs = ops.log_softmax(logits, axis=-1)
    focus = (1 - ops.exp(logs)) ** _FOCUS if focused else 1.0
    return -ops.sum(labels * focus * logs, axis=-1)


def _cross_entropy(labels: Any, logits: Any) -> Any:
    from keras import ops

    # log(1 + exp(x)) - x * y, the form that does not overflow
    return ops.softplus(logits) - logits * labels


def _focal(labels: Any, logits: Any) -> Any:
    from keras import ops

    off = ops.abs(labels - ops.sigmoid(logits))
    return off**_FOCUS * _cross_entropy(labels, logits)


def _asymmetric(labels: Any, logits: Any) -> Any:
    from keras import ops

    chance = ops.sigmoid(logits)
    shifted = ops.maximum(chance - _MARGIN, 0.0)
    positive = (1 - chance) ** _FOCUS_POSITIVE * ops.softplus(-logits)
    negative = -(shifted**_FOCUS_NEGATIVE) * ops.log(ops.maximum(1 - shifted, 1e-7))
    return labels * positive + (1 - labels) * negative
