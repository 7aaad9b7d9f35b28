"""Readers' verdicts: each reader's last word, then the majority."""

import pytest

from models.errors import TableError
from pipelines.sources.feedback import Feedback
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import write_picture
from tests.pipelines.sources.listing import listed, write_text

HEADER = "image,patient_id,finding,verdict,reader,given_at"


def published(folder, rng):
    raw = folder / "feedback"
    for name in ("0197a0c1", "0197a0c2", "0197a0c3"):
        write_picture(raw / f"images/{name}.png", rng)
    write_text(
        raw / "verdicts.csv",
        HEADER,
        "0197a0c1.png,4f1c,Pneumonia,present,reader-1,2026-01-05T09:30:00+00:00",
        "0197a0c1.png,4f1c,Effusion,absent,reader-1,2026-01-05T09:31:00+00:00",
        "0197a0c2.png,77aa,Pneumonia,unsure,reader-2,2026-01-05T10:00:00Z",
    )
    return raw


def judged(folder, *verdicts):
    """The one row of verdicts on one image, each "finding verdict reader time"."""
    lines = ("a.png,P1," + ",".join(verdict.split()) for verdict in verdicts)
    write_text(folder / "verdicts.csv", HEADER, *lines)
    (row,) = listed(Feedback(), folder)
    return dict(row.findings), row.uncertain


def test_verdicts_make_a_row_for_each_image_that_was_judged(tmp_path, noise):
    assert listed(Feedback(), published(tmp_path, noise)) == [
        ImageRow("images/0197a0c1.png", "4f1c", findings={"Pneumonia": 1, "Effusion": 0}),
        ImageRow("images/0197a0c2.png", "77aa", uncertain=("Pneumonia",)),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2026-01-05T09:00:00Z", "2026-01-05T09:00:01Z"),
        ("2026-01-05T09:00:00+02:00", "2026-01-05T08:00:00+00:00"),
        ("2026-01-05T09:00:00", "2026-01-05T09:30:00Z"),
        ("2026-01-05", "2026-01-05"),
    ],
)
def test_a_readers_latest_verdict_counts(tmp_path, first, second):
    verdicts = (f"Mass present r1 {first}", f"Mass absent r1 {second}")
    assert judged(tmp_path, *verdicts) == ({"Mass": 0}, ())


def test_a_reader_who_is_later_in_the_table_is_not_later(tmp_path):
    verdicts = ("Mass present r1 2026-01-06", "Mass absent r1 2026-01-05")
    assert judged(tmp_path, *verdicts) == ({"Mass": 1}, ())


@pytest.mark.parametrize(
    ("verdicts", "findings", "uncertain"),
    [
        (["present", "present", "absent"], {"Mass": 1}, ()),
        (["present", "absent", "absent"], {"Mass": 0}, ()),
        (["present", "absent"], {}, ("Mass",)),
        (["unsure"], {}, ("Mass",)),
        (["unsure", "unsure", "absent"], {"Mass": 0}, ()),
    ],
)
def test_of_several_readers_the_majority_counts(tmp_path, verdicts, findings, uncertain):
    lines = [f"Mass {verdict} r{number} 2026-01-05" for number, verdict in enumerate(verdicts)]
    assert judged(tmp_path, *lines) == (findings, uncertain)


def test_a_row_that_cannot_be_understood_costs_no_other_verdict(tmp_path):
    write_text(
        tmp_path / "verdicts.csv",
        HEADER,
        "a.png,P1,Mass,present,r1,2026-01-05",
        "a.png,P1,Efusion,present,r1,2026-01-05",
        "a.png,P1,Effusion,perhaps,r1,2026-01-05",
        "a.png,P1,Effusion,present,r1,yesterday",
        "a.png,P1,Nodule,absent,r1,2026-01-05",
    )
    assert listed(Feedback(), tmp_path) == [
        Exclusion("verdicts.csv row 3", "unknown_label", "its finding is 'Efusion', which the vocabulary lacks"),
        Exclusion(
            "verdicts.csv row 4", "unknown_label", "its verdict is 'perhaps', not one of present, absent, unsure"
        ),
        Exclusion("verdicts.csv row 5", "unknown_time", "its given_at is no time in ISO 8601"),
        ImageRow("images/a.png", "P1", findings={"Mass": 1, "Nodule": 0}),
    ]


@pytest.mark.parametrize("patients", [("P1", "P2"), ("P1", ""), ("",)])
def test_an_image_without_one_patient_is_given_up(tmp_path, patients):
    lines = (f"a.png,{patient},Mass,present,r1,2026-01-05" for patient in patients)
    write_text(tmp_path / "verdicts.csv", HEADER, *lines)
    reason = "its verdicts name no patient, or more than one"
    assert listed(Feedback(), tmp_path) == [Exclusion("images/a.png", "unknown_patient", reason)]


def test_an_image_that_is_missing_is_a_row(tmp_path):
    write_text(tmp_path / "verdicts.csv", HEADER, "gone.dcm,P1,Mass,present,r1,2026-01-05")
    (row,) = listed(Feedback(), tmp_path)
    assert row.image == "images/gone.dcm"


def test_a_table_of_other_columns_is_refused(tmp_path):
    write_text(tmp_path / "verdicts.csv", "image,finding,verdict", "a.png,Mass,present")
    with pytest.raises(TableError, match="expected the columns patient_id, reader, given_at"):
        listed(Feedback(), tmp_path)
