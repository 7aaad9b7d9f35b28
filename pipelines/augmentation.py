"""How training images are varied, each by draws of its own; never used outside training.

The operations are those of keras-cv and of Keras; the draws are made here. The layers' own draws keep a state that
parallel calls race for, most of keras-cv's ignore the layer's seed, and Keras blurs a whole batch by one width.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import keras_cv
import tensorflow as tf

from pipelines.params import Augment

BLUR_PX = (0.5, 2.0)  # standard deviations
BLUR_RADIUS_PX = 4
SHARPENING = (0.5, 2.0)  # multiples of what a 3 by 3 blur takes away
JPEG_QUALITY = (30, 95)

# No draw is the layers' own, but without a seed they ask for TensorFlow's global generator, which a deterministic run
# refuses to give; and greys stay float32 where the network computes in halves.
_LAYER = {"seed": 1, "dtype": "float32"}

_Step = Callable[[Any, Any], Any]  # (greys, seed) -> greys
_Mix = Callable[[Any, Any, Any], tuple[Any, Any]]  # (greys, targets, seed) -> (greys, targets)


def augmentation(settings: Augment, seed: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A function for `tf.data.Dataset.map`: (greys, targets) -> the same, varied.

    Greys are (n, H, W, 1) float32 in [0, 1]. Targets are (n, findings, 2) float32 without NaN: label and weight, where
    a weight of 0 says that the label is unknown. Shapes, types and ranges stay. What 0 leaves out is not computed.

    The draws follow from the seed and the batch's own greys: however many calls run at once, the same seed and the same
    batch give the same result, and another batch gets other draws.
    """
    steps = _steps(settings)
    mix = _mix(settings)

    def vary(greys: Any, targets: Any) -> tuple[Any, Any]:
        seeds = tf.random.split(_seed_of_batch(greys, seed), len(steps) + 1)
        for place, step in enumerate(steps):
            greys = step(greys, seeds[place])
        if mix is not None:
            greys, targets = mix(greys, targets, seeds[-1])
        return tf.clip_by_value(greys, 0.0, 1.0), targets

    return vary


def _steps(settings: Augment) -> list[_Step]:
    """What is set, in the order in which an image comes about: position, exposure, optics, detector, file."""
    moved = settings.rotation_degrees or settings.zoom or settings.shift or settings.border or settings.mirror
    steps = (
        (moved, partial(_move, settings)),
        (settings.contrast, _contrast(settings.contrast)),
        (settings.gamma, partial(_gamma, settings.gamma)),
        (settings.blur, partial(_some, settings.blur, _blur())),
        (settings.sharpness, partial(_some, settings.sharpness, _sharpen())),
        (settings.noise, partial(_noise, settings.noise)),
        (settings.jpeg, partial(_some, settings.jpeg, _jpeg)),
    )
    return [step for wanted, step in steps if wanted]


def _seed_of_batch(greys: Any, seed: int) -> Any:
    """(2,) int64 from the bits of the greys and the images' order; integers, so that no order of summing matters."""
    bits = tf.cast(tf.reduce_sum(tf.bitcast(greys, tf.int32), axis=(1, 2, 3)), tf.int64)
    places = tf.range(1, tf.shape(greys, tf.int64)[0] + 1)
    return tf.stack([tf.constant(seed, tf.int64), tf.reduce_sum(bits * places)])


def _uniform(greys: Any, seed: Any, low: float, high: float) -> Any:
    """A number an image, (n, 1, 1, 1)."""
    return tf.random.stateless_uniform((tf.shape(greys)[0], 1, 1, 1), seed, low, high)


def _some(share: float, step: _Step, greys: Any, seed: Any) -> Any:
    """The step on a drawn share of the images only, for it costs more than the draw."""
    which, how = tf.unstack(tf.random.split(seed))
    drawn = tf.where(tf.random.stateless_uniform(tf.shape(greys)[:1], which) < share)

    def changed() -> Any:
        return tf.tensor_scatter_nd_update(greys, drawn, step(tf.gather_nd(greys, drawn), how))

    # keras-cv's RandomSharpness fails on a batch of no image.
    return tf.cond(tf.size(drawn) > 0, changed, lambda: greys)


def _move(settings: Augment, greys: Any, seed: Any) -> Any:
    """Crops borders, mirrors, turns, scales and shifts by one affine map, so that images are interpolated only once.

    What comes from outside the image is black.
    """
    height, width = greys.shape[1:3]
    drawn = tf.unstack(tf.random.stateless_uniform((9, tf.shape(greys)[0]), seed, -1, 1))
    left, top, right, bottom = (settings.border * (side + 1) / 2 for side in drawn[:4])
    angle = drawn[4] * settings.rotation_degrees * math.pi / 180
    scale = 1 + drawn[5] * settings.zoom
    side = tf.sign(drawn[8]) if settings.mirror else 1.0
    # Where a pixel of the result comes from, both measured from the centre: (x, y) -> (a x + b y, c x + d y).
    a, b = (1 - left - right) * side * scale * tf.cos(angle), -(1 - left - right) * side * scale * tf.sin(angle)
    c, d = (1 - top - bottom) * scale * tf.sin(angle), (1 - top - bottom) * scale * tf.cos(angle)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    from_x = centre_x * (1 - a) - centre_y * b + width * ((left - right) / 2 + drawn[6] * settings.shift)
    from_y = centre_y * (1 - d) - centre_x * c + height * ((top - bottom) / 2 + drawn[7] * settings.shift)
    nought = tf.zeros_like(a)
    return keras.ops.image.affine_transform(greys, tf.stack([a, b, from_x, c, d, from_y, nought, nought], axis=1))


def _contrast(most: float) -> _Step:
    layer = keras_cv.layers.RandomContrast(value_range=(0, 1), factor=most, **_LAYER)

    def contrast(greys: Any, seed: Any) -> Any:
        return layer.augment_images(greys, _uniform(greys, seed, 1 - most, 1 + most))

    return contrast


def _gamma(most: float, greys: Any, seed: Any) -> Any:
    exponents = tf.exp(_uniform(greys, seed, -most, most))
    return tf.exp(exponents * tf.math.log(greys))  # five times as fast as `**`, and right at 0


def _blur() -> _Step:
    """Gaussian, over edges that go on as in a mirror: keras-cv alone would go on in black."""
    kernel_px = 2 * BLUR_RADIUS_PX + 1
    layer = keras_cv.layers.RandomGaussianBlur(kernel_px, BLUR_PX, **_LAYER)
    inside = slice(BLUR_RADIUS_PX, -BLUR_RADIUS_PX)
    around = [[BLUR_RADIUS_PX, BLUR_RADIUS_PX]] * 2 + [[0, 0]]

    def blur_one(drawn: tuple[Any, Any]) -> Any:
        grey, deviation_px = drawn
        kernel = layer.get_kernel(deviation_px, kernel_px)
        kernels = tf.reshape(kernel, (-1, 1, 1, 1)), tf.reshape(kernel, (1, -1, 1, 1))
        return layer.augment_image(tf.pad(grey, around, "SYMMETRIC"), kernels)[inside, inside]

    def blur(greys: Any, seed: Any) -> Any:
        deviations_px = tf.random.stateless_uniform(tf.shape(greys)[:1], seed, *BLUR_PX)
        return tf.map_fn(blur_one, (greys, deviations_px), fn_output_signature=_one_of(greys))

    return blur


def _sharpen() -> _Step:
    """keras-cv's layer goes towards a blurred image; a negative factor goes away from it."""
    layer = keras_cv.layers.RandomSharpness(factor=1.0, value_range=(0, 1), **_LAYER)

    def sharpen(greys: Any, seed: Any) -> Any:
        return layer.augment_images(greys, -_uniform(greys, seed, *SHARPENING))

    return sharpen


def _noise(most: float, greys: Any, seed: Any) -> Any:
    deviation, field = tf.unstack(tf.random.split(seed))
    return greys + _uniform(greys, deviation, 0, most) * _normal(greys, field)


def _normal(greys: Any, seed: Any) -> Any:
    """As many standard normal draws, two of a pair (Box and Muller 1958): half the time of `stateless_normal`."""
    height, width = greys.shape[1:3]
    pairs = (2, tf.shape(greys)[0], (height + 1) // 2, width, 1)
    one, other = tf.unstack(tf.random.stateless_uniform(pairs, seed))
    radius, angle = tf.sqrt(-2 * tf.math.log(1 - one)), 2 * math.pi * other
    return tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)[:, :height]


def _jpeg(greys: Any, seed: Any) -> Any:
    """By TensorFlow itself: keras-cv's layer is this call, and cannot be given a seed (see `_LAYER`)."""
    low, high = JPEG_QUALITY
    qualities = tf.random.stateless_uniform(tf.shape(greys)[:1], seed, low, high + 1, tf.int32)
    return tf.map_fn(_compress_one, (greys, qualities), fn_output_signature=_one_of(greys))


def _compress_one(drawn: tuple[Any, Any]) -> Any:
    grey, quality = drawn
    return tf.image.adjust_jpeg_quality(grey, quality)


def _one_of(greys: Any) -> Any:
    return tf.TensorSpec(greys.shape[1:], greys.dtype)


def _mix(settings: Augment) -> _Mix | None:
    """MixUp (Zhang et al. 2018) or CutMix (Yun et al. 2019) of each image with another one of its batch."""
    if settings.mix == "none":
        return None
    layer = keras.layers.MixUp(**_LAYER) if settings.mix == "mixup" else keras.layers.CutMix(**_LAYER)

    def mix(greys: Any, targets: Any, seed: Any) -> tuple[Any, Any]:
        ordering, sharing, placing = tf.unstack(tf.random.split(seed, 3))
        images = tf.shape(greys)[0]
        order = tf.random.experimental.stateless_shuffle(tf.range(images), ordering)
        one, other = tf.unstack(tf.random.stateless_gamma((2, images), sharing, settings.mix_alpha))
        kept = tf.math.divide_no_nan(one, one + other)  # Beta; both are 0 now and then where alpha is small
        drawn = {"permutation_order": order, "mix_weight": kept}
        if settings.mix == "cutmix":
            drawn["batch_masks"] = _boxes(greys, 1 - kept, placing)
            kept = 1 - tf.reduce_mean(tf.cast(drawn["batch_masks"], tf.float32), axis=(1, 2, 3))
        return layer.transform_images(greys, drawn), _mixed_targets(targets, order, kept[:, tf.newaxis])

    return mix


def _boxes(greys: Any, share: Any, seed: Any) -> Any:
    """Boxes in the image's proportions, of a share of its area before its edges cut them: (n, H, W, 1) bool."""
    height, width = greys.shape[1:3]
    centre_y, centre_x = tf.unstack(tf.random.stateless_uniform((2, tf.shape(greys)[0], 1), seed))
    half = tf.sqrt(share)[:, tf.newaxis] / 2
    rows = tf.abs((tf.range(height, dtype=tf.float32) + 0.5) / height - centre_y) < half
    columns = tf.abs((tf.range(width, dtype=tf.float32) + 0.5) / width - centre_x) < half
    return rows[:, :, tf.newaxis, tf.newaxis] & columns[:, tf.newaxis, :, tf.newaxis]


def _mixed_targets(targets: Any, order: Any, kept: Any) -> Any:
    """Labels by their weights as well as by their shares: one that is unknown is no negative, and costs nothing."""
    labels, weights = targets[..., 0], targets[..., 1]
    own, others = kept * weights, (1 - kept) * tf.gather(weights, order)
    weight = own + others
    label = tf.math.divide_no_nan(own * labels + others * tf.gather(labels, order), weight)
    return tf.stack([label, weight], axis=-1)
