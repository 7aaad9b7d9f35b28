"""Cross-entropies that cost nothing where a label is not known."""

from typing import Any

from models.findings import TaskKind


def masked_cross_entropy(kind: TaskKind) -> Any:
    """The loss of a task, on logits.

    Returns:
        A function of labels (n, findings), 1 present, 0 absent, NaN not labelled, and logits (n, findings); it gives
        (n,) float32, 0 for an image without a known label. A row of a multiclass task is known whole or not at all.
    """
    return _multiclass if kind is TaskKind.MULTICLASS else _multilabel


def _multiclass(labels: Any, logits: Any) -> Any:
    from keras import ops

    known = ops.logical_not(ops.any(ops.isnan(labels), axis=-1))
    filled = ops.where(ops.isnan(labels), ops.zeros_like(labels), labels)
    entropy = -ops.sum(filled * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.where(known, entropy, ops.zeros_like(entropy))


def _multilabel(labels: Any, logits: Any) -> Any:
    from keras import ops

    known = ops.cast(ops.logical_not(ops.isnan(labels)), logits.dtype)
    filled = ops.where(ops.isnan(labels), ops.zeros_like(labels), labels)
    # log(1 + exp(x)) - x * y, the form that does not overflow
    entropy = ops.softplus(logits) - logits * filled
    return ops.sum(entropy * known, axis=-1) / ops.maximum(ops.sum(known, axis=-1), 1.0)
