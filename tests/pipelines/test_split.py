"""Patients are divided once and for all: no leak, no drift when a source or a row moves, each finding in every part."""

import pandas as pd
import pytest

from models.errors import LabelsError
from models.findings import find_task
from pipelines.catalog import catalog
from pipelines.params import Split
from pipelines.sources.source import ImageRow
from pipelines.split import split
from tests.pipelines.conftest import ListedSource

SETTINGS = Split(validation=0.1, calibration=0.1, test=0.2, key="thorax-1")
CLASSES = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
PNEUMONIA = find_task("pneumonia")


def one_hot(finding):
    return {name: int(name == finding) for name in CLASSES}


def clinic_rows(patients=400):
    """Two images a patient; every second patient is normal, every tenth has a viral pneumonia."""
    kinds = ("Normal", "Bacterial Pneumonia", "Normal", "Bacterial Pneumonia", "Normal",
             "Bacterial Pneumonia", "Normal", "Bacterial Pneumonia", "Normal", "Viral Pneumonia")  # fmt: skip
    return [
        ImageRow(f"{number:04d}-{image}.png", f"{number:04d}", age_years=50.0, findings=one_hot(kinds[number % 10]))
        for number in range(patients)
        for image in range(2)
    ]


def divide(folder, sources, settings=SETTINGS, task=PNEUMONIA, unreadable=()):
    """The split of sources given as name and rows."""
    tables, listings = [], []
    for name, rows in sources.items():
        tables.append(folder / f"{name}.parquet")
        listings.append(folder / f"{name}.csv")
        catalog(ListedSource(name, rows), folder, tables[-1])
        listings[-1].write_text("\n".join(["image", *unreadable]) + "\n")
    return split(settings, task, tables, listings)


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    return divide(tmp_path_factory.mktemp("clinic"), {"clinic": clinic_rows()})


def test_patient_never_spans_two_splits(divided):
    assert len(divided) == 800
    assert (divided.groupby("patient_id")["split"].nunique() == 1).all()


def test_shares_are_those_asked_for(divided):
    patients = divided.drop_duplicates("patient_id")["split"].value_counts()
    assert patients["test"] == pytest.approx(80, abs=1)
    assert patients["validation"] == pytest.approx(40, abs=1)
    assert patients["calibration"] == pytest.approx(40, abs=1)
    assert patients["train"] == pytest.approx(240, abs=2)


@pytest.mark.parametrize(("finding", "patients"), [("Normal", 200), ("Bacterial Pneumonia", 160),
                                                   ("Viral Pneumonia", 40)])  # fmt: skip
def test_each_finding_is_spread_over_the_splits(divided, finding, patients):
    present = divided[divided[finding] == 1].drop_duplicates("patient_id")["split"].value_counts()
    assert present["test"] == pytest.approx(0.2 * patients, abs=2)
    assert present["validation"] == pytest.approx(0.1 * patients, abs=2)
    assert present["calibration"] == pytest.approx(0.1 * patients, abs=2)


def test_order_of_rows_does_not_matter(divided, tmp_path):
    again = divide(tmp_path, {"clinic": clinic_rows()[::-1]})
    pd.testing.assert_frame_equal(again, divided)


def test_another_source_does_not_matter(divided, tmp_path):
    other = [ImageRow(row.image, row.patient_id, sex="F", findings=row.findings) for row in clinic_rows(123)]
    both = divide(tmp_path, {"alps": other, "clinic": clinic_rows()})
    assert both["source"].value_counts().to_dict() == {"clinic": 800, "alps": 246}
    ours = both[both["source"] == "clinic"].reset_index(drop=True)
    assert ours[["image", "split"]].equals(divided[["image", "split"]])


def test_another_key_gives_another_split(divided, tmp_path):
    other = divide(tmp_path, {"clinic": clinic_rows()}, SETTINGS.model_copy(update={"key": "thorax-2"}))
    assert (other["split"] != divided["split"]).mean() > 0.3


def test_official_test_patients_are_the_test_split(tmp_path):
    official = {f"{number:04d}" for number in range(60)}
    rows = [
        ImageRow(row.image, row.patient_id, findings=row.findings,
                 # the second image of a test patient in the training part does not pull the patient out of test
                 split_official="test" if row.patient_id in official and row.image.endswith("-0.png") else "train")
        for row in clinic_rows()
    ]  # fmt: skip
    divided = divide(tmp_path, {"clinic": rows}, SETTINGS.model_copy(update={"test": 0.0}))
    tested = divided[divided["split"] == "test"]
    assert set(tested["patient_id"]) == {f"clinic:{patient}" for patient in official}
    assert len(tested) == 120
    free = divided[divided["split"] != "test"].drop_duplicates("patient_id")["split"].value_counts(normalize=True)
    assert free["validation"] == pytest.approx(0.1, abs=0.005)


def test_no_others_join_official_test_patients(tmp_path):
    rows = [
        ImageRow(row.image, row.patient_id, findings=row.findings,
                 split_official="test" if row.patient_id < "0010" else "train")
        for row in clinic_rows()
    ]  # fmt: skip
    divided = divide(tmp_path, {"clinic": rows})
    assert set(divided[divided["split"] == "test"]["patient_id"]) == {f"clinic:{number:04d}" for number in range(10)}


def test_unreadable_images_are_left_out(tmp_path):
    divided = divide(tmp_path, {"clinic": clinic_rows()}, unreadable=["0007-0.png", "0300-1.png"])
    assert len(divided) == 798
    assert not divided["image"].isin(["0007-0.png", "0300-1.png"]).any()


def test_a_multiclass_row_needs_every_label(tmp_path):
    rows = [*clinic_rows(100), ImageRow("half.png", "x", findings={"Normal": 0}), ImageRow("none.png", "y")]
    divided = divide(tmp_path, {"clinic": rows})
    assert len(divided) == 200
    assert list(divided.columns[-4:]) == [*CLASSES, "split"]


def test_a_multilabel_row_needs_one_label(tmp_path):
    rows = [ImageRow(f"{n}.png", f"{n}", findings={"Effusion": n % 2}) for n in range(100)]
    divided = divide(tmp_path, {"clinic": [*rows, ImageRow("none.png", "y")]}, task=find_task("thoracic"))
    assert len(divided) == 100
    assert divided["Edema"].isna().all()
    tested = divided[divided["split"] == "test"]
    assert tested["Effusion"].sum() == pytest.approx(len(tested) / 2, abs=2)


def test_no_labels_of_the_task_is_an_error(tmp_path):
    rows = [ImageRow(f"{n}.png", f"{n}", findings={"Effusion": 1}) for n in range(100)]
    with pytest.raises(LabelsError, match="Task pneumonia: expected labelled images"):
        divide(tmp_path, {"clinic": rows})


def test_too_few_patients_is_an_error(tmp_path):
    with pytest.raises(LabelsError, match=r"Task pneumonia: too few patients \(2\) for a \w+ split"):
        divide(tmp_path, {"clinic": clinic_rows(2)})
