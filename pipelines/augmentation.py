"""How training images are varied; never used outside training."""

from typing import Any

from pipelines.params import Train


def augmentation(settings: Train) -> Any:
    """A Keras layer stack on grey batches (n, H, W, 1) float32 in [0, 1].

    Turns, moves, scales and changes contrast by random amounts up to the settings. It never mirrors: the heart is on
    one side.
    """
    import keras
    from keras import layers

    turn = settings.rotation_degrees / 360
    fill = {"fill_mode": "constant", "fill_value": 0.0, "seed": settings.seed}
    return keras.Sequential(
        [
            layers.RandomRotation(turn, **fill),
            layers.RandomTranslation(settings.shift, settings.shift, **fill),
            layers.RandomZoom(settings.zoom, **fill),
            layers.RandomContrast(settings.contrast, value_range=(0, 1), seed=settings.seed),
        ],
        name="augmentation",
    )
