"""The last look at a split: whoever or whatever stands on both sides is named, however groups were made."""

import pandas as pd
import pytest

from models.errors import LeakageError
from pipelines.audit.ledger import APART, COLUMNS, SAME
from pipelines.leakage import check_apart

SPLITS = ["train", "train", "validation", "test", "calibration", "external"]


def rows():
    """Six images of two sources, each of a patient of its own."""
    sources = ["clinic"] * 3 + ["alps"] * 3
    return pd.DataFrame({"source": sources, "image": [f"{letter}.png" for letter in "abcdef"], "split": SPLITS})


def images(**changes):
    numbers = range(6)
    table = rows()[["source", "image"]].assign(
        patient_id=[f"{number:032x}" for number in numbers], sha256=[f"{number:064x}" for number in numbers]
    )
    unsplit = pd.DataFrame({"source": ["clinic"], "image": ["u.png"], "patient_id": ["0" * 32], "sha256": ["0" * 64]})
    for column, places in changes.items():
        for to, of in places.items():
            table.loc[to, column] = table.loc[of, column]
    return pd.concat([table, unsplit], ignore_index=True)


def ledger(*pairs, decision=SAME):
    listed = [{"source_a": a[0], "image_a": a[1], "source_b": b[0], "image_b": b[1], "decision": decision}
              for a, b in pairs]  # fmt: skip
    return pd.DataFrame(listed, columns=list(COLUMNS))


def said(images, ledger):
    with pytest.raises(LeakageError) as caught:
        check_apart(rows(), images, ledger)
    assert caught.value.values["remedy"] == "Run dvc repro audit, and report this if it stays."
    return caught.value.values["pairs"], caught.value.values["named"]


def test_a_clean_split_passes():
    check_apart(rows(), images(), ledger())


def test_what_two_images_of_one_split_share_is_no_leak():
    shared = images(patient_id={1: 0}, sha256={1: 0})
    check_apart(rows(), shared, ledger((("clinic", "a.png"), ("clinic", "b.png"))))


def test_an_image_that_is_in_no_split_is_on_no_side():
    # u.png has the patient and the file of a.png
    check_apart(rows(), images(), ledger((("clinic", "d.png"), ("clinic", "u.png"))))


def test_a_patient_on_both_sides_is_a_leak():
    assert said(images(patient_id={3: 0}), ledger()) == (
        1, "clinic: a.png (train) and alps: d.png (test) share the patient"
    )  # fmt: skip


def test_a_file_on_both_sides_is_a_leak():
    assert said(images(sha256={5: 2}), ledger()) == (
        1, "clinic: c.png (validation) and alps: f.png (external) share the file"
    )  # fmt: skip


def test_a_pair_of_the_ledger_on_both_sides_is_a_leak():
    assert said(images(), ledger((("alps", "e.png"), ("clinic", "b.png")))) == (
        1, "alps: e.png (calibration) and clinic: b.png (train) are the same image"
    )  # fmt: skip


def test_a_pair_that_the_ledger_keeps_apart_is_none():
    check_apart(rows(), images(), ledger((("alps", "e.png"), ("clinic", "b.png")), decision=APART))


def test_a_name_in_two_sources_is_two_images():
    other = rows().assign(image="a.png", source=list("abcdef"))
    known = images().iloc[:6].assign(image="a.png", source=list("abcdef"))
    check_apart(other, known, ledger())


def test_more_than_five_are_counted():
    pairs = [(("clinic", "a.png"), ("alps", f"{letter}.png")) for letter in "def"]
    pairs += [(("clinic", "b.png"), ("alps", f"{letter}.png")) for letter in "def"]
    pairs, named = said(images(patient_id={3: 0}, sha256={3: 0}), ledger(*pairs))
    assert pairs == 8
    assert named.split("; ") == [
        "clinic: a.png (train) and alps: d.png (test) share the patient",
        "clinic: a.png (train) and alps: d.png (test) share the file",
        "clinic: a.png (train) and alps: d.png (test) are the same image",
        "clinic: a.png (train) and alps: e.png (calibration) are the same image",
        "clinic: a.png (train) and alps: f.png (external) are the same image",
        "and 3 more",
    ]
