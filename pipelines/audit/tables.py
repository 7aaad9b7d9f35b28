"""What the audit finds."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class Tables:
    """What the audit finds, a file each in its folder; columns as the functions say that make them.

    Attributes:
        overlaps: the ledger.
        groups: of every image, with `excluded`: why an image may be in no split, null for nearly all.
        leaks: of official lists.
        conflicts: of labels between copies.
        two_ids: images that are one under two patients of a source.
        prevalence: of findings by source.
        probes: fields of `Probe` without its arrays.
        suspicious: labels.
        odd: images.
    """

    overlaps: pd.DataFrame
    groups: pd.DataFrame
    leaks: pd.DataFrame
    conflicts: pd.DataFrame
    two_ids: pd.DataFrame
    prevalence: pd.DataFrame
    probes: pd.DataFrame
    suspicious: pd.DataFrame
    odd: pd.DataFrame
