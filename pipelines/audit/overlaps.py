"""The overlap ledger: which images are one and the same, within and across sources."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import faiss
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.audit.ledger import APART, COLUMNS, SAME
from pipelines.audit.likeness import DESCRIPTOR_LENGTH, Likeness, descriptor, likeness, view

SAME_CORRELATION = 0.75
"""Of the pairs of different patients among 7,726 real images, looked at by eye, about one above it is not the same
image, and a handful more above 0.70; of 600 distorted copies one lay below. Joining two patients costs next to nothing,
missing a copy is a leak."""
LISTED_CORRELATION = 0.60

_NEIGHBOURS = 3
_CROP = 0.02
_UNCLEAR_SIGN = 0.3
_HNSW_LINKS = 32
_HNSW_SEARCH = 96
_PAIRS_A_CHUNK = 2000

Pairs = NDArray[np.int64]
Executor = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]


def find_overlaps(images: pd.DataFrame, thumbnails: NDArray[np.uint8], executor: Executor) -> pd.DataFrame:
    """Pairs that are the same image, and pairs that come near it and were kept apart.

    Drawings share the anatomy they were drawn from, so only their files are compared. Of the others, candidates are
    pairs of equal perceptual hash and nearest neighbours among descriptors, found through a navigable
    small-world graph (Malkov and Yashunin 2016), so that the time grows little faster than the number of images.

    Args:
        images: with the columns source, image, drawn, sha256, perceptual_hash, width, height, copy_of.
        thumbnails: (images, 96, 96) uint8, in the same order.
        executor: of `pipelines.spread.EXECUTORS`, for the registrations.

    Returns:
        The ledger, with `COLUMNS`, sorted by sources and images.
    """
    # In the order of names, so that the ledger does not depend on the order of rows or of sources.
    order = np.lexsort([images["image"].to_numpy(str), images["source"].to_numpy(str)])
    images = images.iloc[order].reset_index(drop=True)
    copies = _equal(images["sha256"])
    rows = [_row(images, pair, "file", 1.0, Likeness(1.0, inverted=False)) for pair in copies]
    real = images[~images["drawn"].astype(bool)]
    unique = real.index[~real["sha256"].duplicated()].to_numpy()
    pictures, seen = images.iloc[unique].reset_index(drop=True), thumbnails[order[unique]]
    margins = _margins(pictures)
    vectors = np.stack([descriptor(thumbnail) for thumbnail in seen]) if len(seen) else _none()
    alike = np.pad(_equal(pictures["perceptual_hash"]), ((0, 0), (0, 1)))
    candidates = np.unique(np.concatenate([_neighbours(vectors, seen, margins), alike]), axis=0)
    for (first, second), like in _best(candidates, seen, margins, executor).items():
        if like.correlation >= LISTED_CORRELATION:
            cosine = abs(float(vectors[first] @ vectors[second]))
            rows.append(_row(pictures, np.array([first, second]), "picture", cosine, like))
    found = {row[:4]: row for row in rows}
    for pair in _declared(images):
        row = _row(images, pair, "declared", float("nan"), Likeness(float("nan"), inverted=False))
        known = found.get(row[:4], row)
        found[row[:4]] = (*known[:-2], True, SAME)
    ledger = pd.DataFrame(found.values(), columns=list(COLUMNS))
    return ledger.sort_values(list(COLUMNS[:4]), ignore_index=True)


def _declared(images: pd.DataFrame) -> Iterator[NDArray[np.int64]]:
    """Places of the images that a publisher calls copies, and of those they are copies of where these are here."""
    names = images["source"] + "/" + images["image"].map(lambda image: PurePosixPath(image).stem)
    places = dict(zip(names, range(len(names)), strict=True))
    for copy, original in images["copy_of"].dropna().items():
        if original in places:
            yield np.array([copy, places[original]])


def _margins(images: pd.DataFrame) -> NDArray[np.float64]:
    """(views, images, 4): left, top, right and bottom margins of those who crop nothing, a little, or to a square."""
    width, height = images["width"].to_numpy(float), images["height"].to_numpy(float)
    shorter = np.minimum(width, height)
    x, y, none = 1 - shorter / width, 1 - shorter / height, np.zeros_like(width)
    squares = ((x / 2, y / 2, x / 2, y / 2), (x, y, none, none), (none, none, x, y))
    views = [(none,) * 4, (none + _CROP,) * 4, *squares]
    return np.stack([np.stack(margins, axis=1) for margins in views])


def _none() -> NDArray[np.float32]:
    return np.empty((0, DESCRIPTOR_LENGTH), np.float32)


def _equal(values: pd.Series) -> Pairs:
    """Each place with the one before it that holds the same value: enough to connect them all."""
    order = np.argsort(values.to_numpy(), kind="stable")
    same = values.to_numpy()[order][1:] == values.to_numpy()[order][:-1]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def _neighbours(
    vectors: NDArray[np.float32], thumbnails: NDArray[np.uint8], margins: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(candidates, 3): an image, one of the nearest to a view of it whatever its polarity, and the view's number."""
    if len(vectors) < 2:
        return np.empty((0, 3), np.int64)
    # Nearly all chests agree in this direction; those that point the other way are negatives.
    principal = np.linalg.eigh(vectors.T @ vectors)[1][:, -1]
    sign = np.where(vectors @ principal < 0, np.float32(-1), np.float32(1))[:, np.newaxis]
    index = faiss.IndexHNSWFlat(DESCRIPTOR_LENGTH, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = _HNSW_SEARCH
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # the graph depends on the order in which threads come by
    index.add(vectors * sign)
    faiss.omp_set_num_threads(threads)
    found = []
    for number, margin in enumerate(margins):
        asked = np.flatnonzero(margin.max(axis=1) >= _CROP) if number else np.arange(len(vectors))
        queries = [descriptor(view(thumbnails[place], margin[place])) for place in asked]
        signed = (np.stack(queries) if queries else _none()) * sign[asked]
        unclear = np.abs(signed @ principal) < _UNCLEAR_SIGN
        _, nearest = index.search(np.concatenate([signed, -signed[unclear]]), min(_NEIGHBOURS + 1, len(vectors)))
        places = np.repeat(np.concatenate([asked, asked[unclear]]), nearest.shape[1])
        found.append(np.stack([places, nearest.ravel(), np.full(places.shape, number)], axis=1))
    candidates = np.concatenate(found)
    others: NDArray[np.int64] = candidates[(candidates[:, 1] >= 0) & (candidates[:, 0] != candidates[:, 1])]
    return others


def _best(
    candidates: NDArray[np.int64], thumbnails: NDArray[np.uint8], margins: NDArray[np.float64], executor: Executor
) -> dict[tuple[int, int], Likeness]:
    """The greatest likeness of each pair, over the views it was found by."""
    plain = candidates[:, 2] == 0
    candidates[plain, :2] = np.sort(candidates[plain, :2], axis=1)
    candidates = np.unique(candidates, axis=0)
    starts = range(0, len(candidates), _PAIRS_A_CHUNK)
    chunks = [_Chunk(thumbnails, margins, candidates[start : start + _PAIRS_A_CHUNK]) for start in starts]
    best: dict[tuple[int, int], Likeness] = {}
    for pairs, found in executor(_register_chunk, chunks):
        for pair, like in zip(pairs, found, strict=True):
            if pair not in best or (like.correlation, like.inverted) > (best[pair].correlation, best[pair].inverted):
                best[pair] = like
    return best


class _Chunk:
    """Views to be registered, and only these: a chunk travels to another process."""

    def __init__(
        self, thumbnails: NDArray[np.uint8], margins: NDArray[np.float64], candidates: NDArray[np.int64]
    ) -> None:
        self.pairs = [(min(first, second), max(first, second)) for first, second, _ in candidates.tolist()]
        self.margins = margins[candidates[:, 2], candidates[:, 0]]
        self.firsts, self.seconds = thumbnails[candidates[:, 0]], thumbnails[candidates[:, 1]]


def _register_chunk(chunk: _Chunk) -> tuple[list[tuple[int, int]], list[Likeness]]:
    views = (view(first, margin) for first, margin in zip(chunk.firsts, chunk.margins, strict=True))
    return chunk.pairs, [likeness(first, second) for first, second in zip(views, chunk.seconds, strict=True)]


def _row(images: pd.DataFrame, pair: NDArray[np.int64], kind: str, cosine: float, like: Likeness) -> tuple[Any, ...]:
    first, second = (images.loc[place, ["source", "image", "perceptual_hash"]].tolist() for place in sorted(pair))
    distance = (int(first[2], 16) ^ int(second[2], 16)).bit_count()
    decision = SAME if like.correlation >= SAME_CORRELATION else APART
    return (*first[:2], *second[:2], kind, distance, cosine, like.correlation, like.inverted, False, decision)
