"""How often a finding is labelled, and whether copies of one image are labelled alike."""

import numpy as np
import pandas as pd

from models.findings import FINDINGS
from pipelines.audit.overlaps import SAME


def prevalence(images: pd.DataFrame) -> pd.DataFrame:
    """By source and finding: how many images are labelled, uncertain and present, and the share of present ones."""
    rows = []
    for source, of_source in images.groupby("source"):
        uncertain = of_source["uncertain"].explode()
        for finding in FINDINGS:
            known, unclear = of_source[finding].dropna(), int((uncertain == finding).sum())
            if len(known) or unclear:
                share = known.mean() if len(known) else float("nan")
                rows.append((source, finding, len(known), unclear, int(known.sum()), share))
    return pd.DataFrame(rows, columns=["source", "finding", "labelled", "uncertain", "present", "share"])


def conflicts(images: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Findings that are present on one image and absent on its copy; `label_of_a` says which way round."""
    same = ledger[ledger["decision"] == SAME].reset_index(drop=True)
    labels = images.set_index(["source", "image"])[list(FINDINGS)]
    one, other = (labels.reindex(pd.MultiIndex.from_frame(same[[f"source_{of}", f"image_{of}"]])) for of in "ab")
    rows, columns = np.nonzero(np.abs(one.to_numpy() - other.to_numpy()) == 1)
    said = np.where(one.to_numpy()[rows, columns] == 1, "present", "absent")
    pairs = same.loc[rows.tolist(), ["source_a", "image_a", "source_b", "image_b"]].reset_index(drop=True)
    return pairs.assign(finding=np.array(list(FINDINGS))[columns], label_of_a=said)
