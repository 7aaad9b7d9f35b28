"""How often a finding is labelled, and whether copies of one image are said to be of one patient and labelled alike."""

import numpy as np
import pandas as pd

from models.findings import FINDINGS
from pipelines.audit.ledger import SAME


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
    """Findings that are present on one image and absent on its copy; `label_of_a` says which way round.

    Pictures of one patient that are alike but not the same file may be days apart, and are not compared.
    """
    same = ledger[ledger["decision"] == SAME].reset_index(drop=True)
    by_name = images.set_index(["source", "image"])[[*FINDINGS, "patient_id"]]
    one, other = (by_name.reindex(pd.MultiIndex.from_frame(same[[f"source_{of}", f"image_{of}"]])) for of in "ab")
    follow_up = (one["patient_id"].to_numpy() == other["patient_id"].to_numpy()) & (same["kind"] != "file").to_numpy()
    labels, labels_of_other = (side[list(FINDINGS)].to_numpy(float) for side in (one, other))
    rows, columns = np.nonzero((np.abs(labels - labels_of_other) == 1) & ~follow_up[:, np.newaxis])
    said = np.where(labels[rows, columns] == 1, "present", "absent")
    pairs = same.loc[rows.tolist(), ["source_a", "image_a", "source_b", "image_b"]].reset_index(drop=True)
    return pairs.assign(finding=np.array(list(FINDINGS))[columns], label_of_a=said)


def two_ids(images: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Images that are one, and that their source says are of two patients: a patient with two ids, or a mix-up.

    Returns:
        The columns source, image_a, image_b, kind; the groups hold such patients together.
    """
    same = ledger[(ledger["decision"] == SAME) & (ledger["source_a"] == ledger["source_b"])]
    patients = images[["source", "image", "patient_id"]]
    for of in "ab":
        same = same.merge(patients.add_suffix(f"_{of}"), on=[f"source_{of}", f"image_{of}"])
    found = same[same["patient_id_a"] != same["patient_id_b"]]
    return found.rename(columns={"source_a": "source"})[["source", "image_a", "image_b", "kind"]].reset_index(drop=True)
