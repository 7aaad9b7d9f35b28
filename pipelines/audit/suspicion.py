"""Labels that the images speak against (confident learning, Northcutt et al. 2021)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pipelines.audit.probes import Probe


def suspicious_labels(images: pd.DataFrame, probes: Iterable[Probe]) -> pd.DataFrame:
    """Labels whose opposite the embedding finds as likely as it does, on average, where that is the label.

    Args:
        images: the catalogs' rows.
        probes: of findings; their chances are of fits that have not seen the image's group.

    Returns:
        The columns source, image, finding, label (1 or 0), chance (of the label, in [0, 1]); least chance first.
    """
    found = []
    for probe in probes:
        labels = images[probe.target].to_numpy()[probe.rows].astype(int)
        expected = [float((1 - probe.chances)[labels == 0].mean()), float(probe.chances[labels == 1].mean())]
        opposite = np.where(labels == 1, 1 - probe.chances, probe.chances)
        threshold = np.where(labels == 1, expected[0], expected[1])
        wrong = np.flatnonzero((opposite >= threshold) & (opposite > 0.5))
        rows = images.iloc[probe.rows[wrong]][["source", "image"]]
        found.append(rows.assign(finding=probe.target, label=labels[wrong], chance=1 - opposite[wrong]))
    columns = ["source", "image", "finding", "label", "chance"]
    return pd.concat([pd.DataFrame(columns=columns), *found]).sort_values("chance", ignore_index=True)[columns]
