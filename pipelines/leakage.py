"""The last look at a split, by its images alone: nobody and nothing stands on both sides."""

from collections.abc import Iterator, Sequence

import pandas as pd

from models.errors import LeakageError
from pipelines.audit.ledger import SAME

_NAMED = 5


def check_apart(rows: pd.DataFrame, images: pd.DataFrame, ledger: pd.DataFrame) -> None:
    """Returns if no two splits share a patient, a file or a pair of the ledger; how groups were made does not matter.

    Args:
        rows: with the columns source, image, split.
        images: the catalogs' rows, with the columns source, image, patient_id, sha256.
        ledger: of overlaps.

    Raises:
        LeakageError: they do; some pairs are named.
    """
    refuse(list(_pairs(rows, images, ledger)), "Run dvc repro audit, and report this if it stays.")


def refuse(pairs: Sequence[str], remedy: str) -> None:
    """Returns if there are none.

    Raises:
        LeakageError: names the first pairs and counts the rest.
    """
    if pairs:
        more = f"; and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
        raise LeakageError(pairs=len(pairs), named="; ".join(pairs[:_NAMED]) + more, remedy=remedy)


def _pairs(rows: pd.DataFrame, images: pd.DataFrame, ledger: pd.DataFrame) -> Iterator[str]:
    known = rows[["source", "image", "split"]].merge(images[["source", "image", "patient_id", "sha256"]])
    for shared, column in (("patient", "patient_id"), ("file", "sha256")):
        spanning = known[known.groupby(column)["split"].transform("nunique") > 1]
        for _, members in spanning.groupby(column):
            one = members.iloc[0]
            other = members[members["split"] != one["split"]].iloc[0]
            yield f"{_named(one)} and {_named(other)} share the {shared}"
    splits = known[["source", "image", "split"]]
    same = ledger[ledger["decision"] == SAME]
    for of in "ab":
        same = same.merge(splits.add_suffix(f"_{of}"), on=[f"source_{of}", f"image_{of}"])
    for pair in same[same["split_a"] != same["split_b"]].itertuples():
        first = f"{pair.source_a}: {pair.image_a} ({pair.split_a})"
        yield f"{first} and {pair.source_b}: {pair.image_b} ({pair.split_b}) are the same image"


def _named(row: pd.Series) -> str:
    return f"{row['source']}: {row['image']} ({row['split']})"
