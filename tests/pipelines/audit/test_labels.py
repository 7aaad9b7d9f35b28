"""Figures of labels, counted by hand."""

import numpy as np
import pandas as pd
import pytest

from models.findings import FINDINGS
from pipelines.audit.labels import conflicts, prevalence, two_ids
from pipelines.audit.ledger import APART, COLUMNS, SAME


def images_of(*rows):
    """Rows of source, image, patient and findings; a finding that is None is uncertain."""
    records = []
    for source, image, patient, findings in rows:
        known = {finding: value for finding, value in findings.items() if value is not None}
        uncertain = [finding for finding, value in findings.items() if value is None]
        record = dict.fromkeys(FINDINGS, np.nan) | known
        records.append(record | {"source": source, "image": image, "patient_id": patient, "uncertain": uncertain})
    return pd.DataFrame(records, columns=["source", "image", "patient_id", "uncertain", *FINDINGS])


def pair(kind="picture", decision=SAME, one=("one", "a"), other=("two", "b")):
    row = dict.fromkeys(COLUMNS) | dict(zip(COLUMNS[:4], (*one, *other), strict=True))
    return pd.DataFrame([row | {"kind": kind, "decision": decision}], columns=list(COLUMNS))


def test_prevalence_counts_labelled_uncertain_and_present_ones_by_source():
    images = images_of(
        ("one", "a", "1", {"Mass": 1, "Edema": 0}),
        ("one", "b", "2", {"Mass": 0, "Edema": None}),
        ("one", "c", "3", {"Mass": 0, "Edema": None, "Hernia": None}),
        ("one", "d", "4", {"Mass": 1}),
        ("two", "e", "5", {"Edema": 1}),
        ("two", "f", "6", {}),
    )
    rows = prevalence(images).to_numpy().tolist()
    assert rows[:2] == [["one", "Mass", 4, 0, 2, 0.5], ["one", "Edema", 1, 2, 0, 0.0]]
    assert rows[2][:5] == ["one", "Hernia", 0, 1, 0]
    assert np.isnan(rows[2][5])
    assert rows[3:] == [["two", "Edema", 1, 0, 1, 1.0]]


def test_a_source_without_labels_has_no_prevalence():
    table = prevalence(images_of(("one", "a", "1", {})))
    assert list(table.columns) == ["source", "finding", "labelled", "uncertain", "present", "share"]
    assert len(table) == 0


@pytest.mark.parametrize("kind", ["picture", "file", "declared"])
def test_a_finding_that_is_present_here_and_absent_on_the_copy_is_a_conflict(kind):
    images = images_of(
        ("one", "a", "1", {"Mass": 1, "Edema": 0, "Hernia": 1, "Nodule": 1, "Fibrosis": None}),
        ("two", "b", "2", {"Mass": 0, "Edema": 1, "Hernia": 1, "Fibrosis": 1}),
    )
    found = conflicts(images, pair(kind))
    assert found.to_numpy().tolist() == [
        ["one", "a", "two", "b", "Mass", "present"],
        ["one", "a", "two", "b", "Edema", "absent"],
    ]


def test_pairs_that_are_kept_apart_are_not_compared():
    images = images_of(("one", "a", "1", {"Mass": 1}), ("two", "b", "2", {"Mass": 0}))
    assert len(conflicts(images, pair(decision=APART))) == 0


@pytest.mark.parametrize(("kind", "found"), [("picture", 0), ("file", 1)])
def test_of_one_patient_only_the_same_file_is_compared(kind, found):
    images = images_of(("one", "a", "1", {"Mass": 1}), ("one", "b", "1", {"Mass": 0}))
    assert len(conflicts(images, pair(kind, other=("one", "b")))) == found


def test_each_pair_is_judged_by_itself():
    images = images_of(
        ("one", "a", "1", {"Mass": 1}),
        ("one", "b", "1", {"Mass": 0}),
        ("two", "b", "2", {"Mass": 0}),
        ("two", "c", "3", {"Mass": 1}),
    )
    pairs = [pair(other=("one", "b")), pair(decision=APART), pair(other=("two", "c")), pair(one=("one", "b"))]
    pairs.append(pair(one=("one", "b"), other=("two", "c")))
    found = conflicts(images, pd.concat(pairs))
    assert found.to_numpy().tolist() == [["one", "b", "two", "c", "Mass", "absent"]]


def test_an_empty_ledger_has_no_conflicts():
    found = conflicts(images_of(("one", "a", "1", {"Mass": 1})), pd.DataFrame(columns=list(COLUMNS)))
    assert list(found.columns) == ["source_a", "image_a", "source_b", "image_b", "finding", "label_of_a"]
    assert len(found) == 0


@pytest.mark.parametrize(
    ("patients", "other", "decision", "found"),
    [
        (("1", "2"), ("one", "b"), SAME, [["one", "a", "b", "file"]]),
        (("1", "1"), ("one", "b"), SAME, []),
        (("1", "2"), ("one", "b"), APART, []),
        # Sources number their patients independently.
        (("1", "2"), ("two", "b"), SAME, []),
    ],
)
def test_one_image_under_two_patients_of_a_source_is_listed(patients, other, decision, found):
    images = images_of(("one", "a", patients[0], {}), (*other, patients[1], {}))
    assert two_ids(images, pair("file", decision, other=other)).to_numpy().tolist() == found
