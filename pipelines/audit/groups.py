"""What belongs together: images of one patient, and images that are one. No group ever spans two splits."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipelines.audit.ledger import SAME

_ID_DIGITS = 16


def group_images(images: pd.DataFrame, ledger: pd.DataFrame, sources: Sequence[str]) -> pd.DataFrame:
    """The group of each image, the source where it is at home, and what its group would be without other sources.

    A group is at home in that source of its members which `sources` names first, and is called after the least file
    hash among its members there: so neither the order of rows nor a source that is added later renames it, nor does
    the key of pseudonyms, which differs from site to site.

    Args:
        images: with the columns source, image, patient_id, sha256.
        ledger: of overlaps.
        sources: in the order of params.yaml.

    Returns:
        The columns source, image, group, home, part; a row for each of `images`, in their order.
    """
    same = ledger[ledger["decision"] == SAME]
    rank = images["source"].map({source: number for number, source in enumerate(sources)})
    members = pd.DataFrame({"rank": rank, "name": images["sha256"].str[:_ID_DIGITS]})
    members["group"] = _components(images, same)
    first = members.sort_values(["rank", "name"]).groupby("group")[["rank", "name"]].first().loc[members["group"]]
    # Within one source, by its patients and pairs alone.
    members["part"] = _components(images, same[same["source_a"] == same["source_b"]], within_sources=True)
    return pd.DataFrame(
        {
            "source": images["source"].to_numpy(),
            "image": images["image"].to_numpy(),
            "group": first["name"].to_numpy(),
            "home": [sources[number] for number in first["rank"]],
            "part": members.groupby("part")["name"].transform("min").to_numpy(),
        }
    )


def _components(images: pd.DataFrame, pairs: pd.DataFrame, within_sources: bool = False) -> NDArray[np.int32]:
    """A number for each image; connected are images of one patient, and pairs."""
    places = {key: number for number, key in enumerate(zip(images["source"], images["image"], strict=True))}
    firsts = [places[key] for key in zip(pairs["source_a"], pairs["image_a"], strict=True)]
    seconds = [places[key] for key in zip(pairs["source_b"], pairs["image_b"], strict=True)]
    patients = images.groupby(["source", "patient_id"] if within_sources else "patient_id").ngroup().to_numpy()
    rows = np.concatenate([np.arange(len(images)), np.array(firsts, np.int64)])
    columns = np.concatenate([patients + len(images), np.array(seconds, np.int64)])
    size = 2 * len(images)  # images, then patients
    links = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1][: len(images)])


def official_leaks(images: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
    """Images whose publisher trains on them although their group has an image of the same source's official test.

    Args:
        images: with the columns source, image, patient_id, split_official.
        groups: of `group_images`.

    Returns:
        The columns source, image, split_official, test_image, shared ("patient" or "image"), group; of several test
        images the first stands for all, the patient's own before others.
    """
    rows = images[["source", "image", "patient_id", "split_official"]].assign(group=groups["group"].to_numpy())
    tested = rows[rows["split_official"] == "test"]
    first = tested.groupby(["source", "group"])["image"].first().rename("test_image")
    others = rows[rows["split_official"].isin(["train", "validation"])].join(first, on=["source", "group"], how="inner")
    of_patient = tested.groupby(["source", "patient_id"])["image"].first()
    same_patient = pd.MultiIndex.from_frame(others[["source", "patient_id"]])
    own = of_patient.reindex(same_patient).to_numpy()
    found = others.assign(
        test_image=np.where(pd.notna(own), own, others["test_image"]),
        shared=np.where(pd.notna(own), "patient", "image"),
    )
    return found[["source", "image", "split_official", "test_image", "shared", "group"]].reset_index(drop=True)
