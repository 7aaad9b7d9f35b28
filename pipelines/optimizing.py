"""What of a network learns, from which loss, at which rate, and that it stops where the loss is no number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingError
from models.findings import Head
from models.heads import BACKBONE
from pipelines.params import Train


def compile_learner(learner: Any, heads: Sequence[Head], settings: Train, frozen: bool, steps: int) -> None:
    """Makes a `models.heads.Network.learner` ready to learn, with an optimizer that has its variables already.

    Args:
        learner: to compile.
        heads: that it answers for.
        settings: of the model.
        frozen: whether only the heads learn; else all but the `frozen_share` of the backbone.
        steps: in which the rate rises and falls, where the backbone learns too.
    """
    import keras

    from models.losses import loss_of

    features = learner.get_layer(BACKBONE)
    features.trainable = True
    for place, layer in enumerate(features.layers):
        layer.trainable = not frozen and place >= settings.frozen_share * len(features.layers)
    rate: Any = settings.frozen_learning_rate
    if not frozen:
        warm_up = round(settings.warm_up * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warm_up else settings.learning_rate,
            decay_steps=max(1, steps - warm_up),
            warmup_target=settings.learning_rate if warm_up else None,
            warmup_steps=warm_up,
        )
    averaged = {"use_ema": True, "ema_momentum": settings.averaging} if settings.averaging else {}
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **averaged)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = loss_of(heads, settings.loss, settings.label_smoothing)
    learner.compile(optimizer=optimizer, loss=loss, jit_compile=settings.xla)
    learner.optimizer.build(learner.trainable_variables)  # for float16 Keras puts one around it


def stop_at_nan(order: list[NDArray[np.int64]], images: NDArray[np.str_]) -> Any:
    """A callback that ends training at the first batch whose loss is no number, and names it.

    Args:
        order: places of the images of each batch.
        images: their names.
    """
    import keras

    class StopAtNan(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            if not np.isfinite((logs or {})["loss"]):
                named = ", ".join(images[order[batch][:3]])
                reason = (
                    f"The loss is not a number in batch {batch + 1} of {len(order)}, which begins with {named}. "
                    "Look at its images, or lower learning_rate in params.yaml; the best weights so far are kept."
                )
                raise TrainingError(reason=reason)

    return StopAtNan()
