"""`python -m tests.bench.overlaps PUBLISHERS`: what the ledger finds of copies put among all real radiographs there.

PUBLISHERS holds a folder a source, as each publisher has it. A pair of a copy and an image is right if the image is the
copy's original, equals it as a file, is of the same patient, or is its declared twin; the ledger itself is not asked.
"""

import sys
from pathlib import Path, PurePosixPath

import numpy as np

from pipelines.audit.ledger import SAME
from pipelines.audit.overlaps import find_overlaps
from pipelines.raw import RawFiles
from pipelines.sources import find_source
from pipelines.sources.card import load_card
from pipelines.sources.source import ImageRow
from pipelines.spread import EXECUTORS
from tests.pipelines.audit.copies import KINDS, distorted
from tests.pipelines.audit.pictures import described, read_grey

SOURCES = ("covid_chestxray", "hannover", "kermany", "nih_chestxray14", "shenzhen")
COPIES = 1200
_COPY = "copies"
Name = tuple[str, str]


def measure(publishers: Path) -> dict[str, float]:
    """Recall and precision of the pairs of a copy and an image, and how many of Hannover's declared twins are found."""
    rng = np.random.default_rng(1)
    rows = {(source, row.image): row for source in SOURCES for row in _rows(publishers, source)}
    names = list(rows)
    pictures = [(*name, read_grey(publishers / name[0] / name[1])) for name in names]
    originals: dict[Name, Name] = {}
    for number, place in enumerate(rng.choice(len(names), COPIES, replace=False)):
        copy = (_COPY, f"{number:04d}")
        originals[copy] = names[place]
        pictures.append((*copy, distorted(pictures[place][2], KINDS[number % len(KINDS)], rng)))
    images, thumbnails = described(pictures)
    ledger = find_overlaps(images, thumbnails, EXECUTORS["local"])
    same = ledger[ledger["decision"] == SAME]
    pairs = [((row.source_a, row.image_a), (row.source_b, row.image_b)) for row in same.itertuples()]
    files = dict(zip(zip(images["source"], images["image"], strict=True), images["sha256"], strict=True))
    asked = [sorted(pair, key=lambda name: name not in originals) for pair in pairs]
    asked = [(copy, image) for copy, image in asked if copy in originals and image not in originals]
    right = [
        image == originals[copy] or files[image] == files[originals[copy]] or _related(rows, image, originals[copy])
        for copy, image in asked
    ]
    for (copy, image), holds in zip(asked, right, strict=True):
        if not holds:
            sys.stdout.write(f"wrong: a copy of {originals[copy]} and {image}\n")
    twins = {frozenset((name, twin)) for name, row in rows.items() if (twin := _twin(rows, row))}
    return {
        "images": len(names),
        "copies": COPIES,
        "recall": len({copy for copy, image in asked if image == originals[copy]}) / COPIES,
        "pairs": len(asked),
        "precision": sum(right) / len(asked),
        "declared twins": len(twins),
        "declared twins found by their pixels": len(twins & {frozenset(pair) for pair in pairs}),
    }


def _rows(publishers: Path, source: str) -> list[ImageRow]:
    found = find_source(source).rows(RawFiles(publishers / source), load_card(Path(f"data/sources/{source}.yaml")))
    return [row for row in found if isinstance(row, ImageRow)]


def _related(rows: dict[Name, ImageRow], one: Name, other: Name) -> bool:
    """Of one patient, or a declared twin of the other or of that patient's."""
    patients = {(name[0], rows[name].patient_id) for name in (one, _twin(rows, rows[one])) if name} & {
        (name[0], rows[name].patient_id) for name in (other, _twin(rows, rows[other])) if name
    }
    return bool(patients)


def _twin(rows: dict[Name, ImageRow], row: ImageRow) -> Name | None:
    """The image that a row says its own is a copy of."""
    if row.copy_of is None:
        return None
    source, stem = row.copy_of
    return next((name for name in rows if name[0] == source and PurePosixPath(name[1]).stem == stem), None)


if __name__ == "__main__":
    for what, figure in measure(Path(sys.argv[1])).items():
        sys.stdout.write(f"{what}\t{figure:.4g}\n")
