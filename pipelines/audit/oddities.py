"""Images that may be no frontal chest radiograph, nearly blank, inverted or mostly text."""

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.audit.likeness import descriptor

_BLANK_CONTRAST = 0.03
_CHEST_LIKENESS = 0.25  # 1 % of 7,726 real frontal chests lie below 0.30, 0.1 % below 0.07
_NEGATIVE = 0.45  # 5 % of them lie below; what agrees as weakly with a negative chest is rather no chest
_STROKES = 0.10  # at most 0.08 on any of them
_EXTREME = 0.75  # at most 0.51


def oddities(images: pd.DataFrame, thumbnails: NDArray[np.uint8]) -> pd.DataFrame:
    """What stands out, by how an image's descriptor agrees with what most images of all sources have in common.

    Args:
        images: with the columns source, image, contrast, black, white.
        thumbnails: (images, 96, 96) uint8.

    Returns:
        The columns source, image, kind ("blank", "text", "inverted", "unlike a frontal chest"), value (what it was
        judged by); one row an image, the first kind that holds.
    """
    if not len(images):
        return pd.DataFrame(columns=["source", "image", "kind", "value"])
    vectors = np.stack([descriptor(thumbnail) for thumbnail in thumbnails])
    principal = np.linalg.eigh(vectors.T @ vectors)[1][:, -1]
    agreement = vectors @ principal
    agreement *= np.sign(np.median(agreement)) or 1.0
    extreme = (images["black"] + images["white"]).to_numpy()
    strokes = np.array([_strokes(thumbnail) for thumbnail in thumbnails])
    contrast = images["contrast"].to_numpy()
    kinds = [
        ("blank", contrast < _BLANK_CONTRAST, contrast),
        ("text", strokes > _STROKES, strokes),
        ("text", extreme > _EXTREME, extreme),
        ("inverted", agreement < -_NEGATIVE, agreement),
        ("unlike a frontal chest", agreement < _CHEST_LIKENESS, agreement),
    ]
    kind = np.select([holds for _, holds, _ in kinds], [name for name, _, _ in kinds], default="")
    value = np.select([holds for _, holds, _ in kinds], [values for _, _, values in kinds])
    found = images[["source", "image"]].assign(kind=kind, value=value)
    return found[found["kind"] != ""].reset_index(drop=True)


def _strokes(thumbnail: NDArray[np.uint8]) -> float:
    """The share of pixels beside an edge."""
    return float((np.abs(np.asarray(cv2.Laplacian(thumbnail, cv2.CV_16S))) > 96).mean())
