"""What scanners and screens make of paper: pages of text, and plots."""

import string

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.decoys.film import Grey

_LETTERS = list(string.ascii_letters + string.digits + " " * 12)


def page(rng: np.random.Generator) -> Grey:
    """Lines of letters in one or two columns, with a heading, dark on light or light on dark."""
    image, draw = _sheet(rng)
    width, height = image.size
    size_px = int(rng.integers(8, 18))
    font, columns = ImageFont.load_default(size_px), int(rng.integers(1, 3))
    draw.text((width * 0.1, height * 0.03), _words(rng, 16), 0, ImageFont.load_default(2 * size_px))
    for column in range(columns):
        for top in range(int(height * 0.14), int(height * rng.uniform(0.5, 0.95)), int(size_px * 1.4)):
            if rng.random() < 0.92:
                fitting = int(width * 0.8 / columns / (0.55 * size_px) * rng.uniform(0.6, 1))
                draw.text((width * (0.08 + 0.86 * column / columns), top), _words(rng, fitting), 30, font)
    return _scanned(image, rng)


def plot(rng: np.random.Generator) -> Grey:
    """Axes with curves, bars or points, and labels."""
    image, draw = _sheet(rng)
    width, height = image.size
    left, top, right, bottom = width * 0.14, height * 0.1, width * 0.94, height * 0.86
    draw.rectangle((left, top, right, bottom), outline=40, width=2)
    x = np.linspace(left, right, 60)
    for _ in range(rng.integers(1, 5)):
        wave = np.cumsum(rng.normal(0, 1, 60))
        y = top + (bottom - top) * (0.1 + 0.8 * (wave - wave.min()) / (np.ptp(wave) + 1e-6))
        shade, kind = int(rng.integers(0, 160)), rng.integers(3)
        for i in range(0, 59, 1 if kind == 0 else 4):
            if kind == 0:
                draw.line((x[i], y[i], x[i + 1], y[i + 1]), fill=shade, width=2)
            elif kind == 1:
                draw.rectangle((x[i], y[i], x[i] + width * 0.03, bottom), fill=shade)
            else:
                draw.ellipse((x[i] - 3, y[i] - 3, x[i] + 3, y[i] + 3), fill=shade)
    for place in np.linspace(left, right, 6):
        draw.text((place - 8, bottom + 6), _words(rng, 3), 30, ImageFont.load_default(11))
    draw.text((left, top * 0.2), _words(rng, 20), 20, ImageFont.load_default(14))
    return _scanned(image, rng)


def _sheet(rng: np.random.Generator) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    size = int(rng.integers(240, 400)), int(rng.integers(240, 400))
    image = Image.new("L", size, int(rng.integers(215, 256)))
    return image, ImageDraw.Draw(image)


def _words(rng: np.random.Generator, letters: int) -> str:
    return "".join(rng.choice(_LETTERS, letters))


def _scanned(image: Image.Image, rng: np.random.Generator) -> Grey:
    turned = image.rotate(rng.normal(0, 2), Image.Resampling.BILINEAR, fillcolor=230)
    grey = np.asarray(turned, np.float32) / np.float32(255)
    return grey if rng.random() < 0.7 else 1 - grey
