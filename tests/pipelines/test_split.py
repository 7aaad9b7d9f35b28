"""Groups are divided once and for all: no leak, no drift when a source or a row moves, each finding in every part."""

import hashlib
from collections import Counter

import pandas as pd
import pyarrow as pa
import pytest

from models.errors import LabelsError
from models.findings import find_task
from pipelines.audit.groups import group_images
from pipelines.audit.ledger import COLUMNS, SAME
from pipelines.catalog import SCHEMA
from pipelines.params import Split
from pipelines.pseudonyms import Pseudonyms
from pipelines.sources.source import ImageRow
from pipelines.split import split
from tests.pipelines.conftest import PSEUDONYMS, start_stage, write_params

SETTINGS = Split(validation=0.1, calibration=0.1, test=0.2, external=[], uncertain="ignore", key="thorax-1")
CLASSES = ("Normal", "Bacterial Pneumonia", "Viral Pneumonia")
PNEUMONIA, THORACIC = find_task("pneumonia"), find_task("thoracic")


def others(**changes):
    return SETTINGS.model_copy(update=changes)


def one_hot(finding):
    return {name: int(name == finding) for name in CLASSES}


KINDS = ("Normal", "Bacterial Pneumonia", "Normal", "Bacterial Pneumonia", "Normal", "Bacterial Pneumonia", "Normal",
         "Bacterial Pneumonia", "Normal", "Viral Pneumonia")  # fmt: skip


def patients(count=400, official=lambda number: None):
    """Two images a patient; every second patient is normal, every tenth has a viral pneumonia."""
    return [
        ImageRow(f"{number:04d}-{image}.png", f"{number:04d}", age_years=50.0, split_official=official(number),
                 findings=one_hot(KINDS[number % 10]))
        for number in range(count)
        for image in range(2)
    ]  # fmt: skip


def catalog_of(source, rows, pseudonyms=PSEUDONYMS):
    """The catalog of these rows, each image another file."""
    about = ("image", "view_position", "age_years", "sex", "split_official")
    return pa.Table.from_pylist(
        [
            {name: getattr(row, name) for name in about}
            | {
                "source": source,
                "drawn": False,
                "patient_id": pseudonyms.of("patient", row.patient_source or source, row.patient_id),
                "uncertain": list(row.uncertain),
                "width": 64,
                "height": 64,
                "sha256": hashlib.sha256(f"{source}/{row.image}".encode()).hexdigest(),
                "perceptual_hash": "0" * 16,
            }
            | {finding: float(value) for finding, value in row.findings.items()}
            for row in rows
        ],
        SCHEMA,
    )


def ledger_of(pairs):
    listed = [{"source_a": a[0], "image_a": a[1], "source_b": b[0], "image_b": b[1], "decision": SAME}
              for a, b in pairs]  # fmt: skip
    return pd.DataFrame(listed, columns=list(COLUMNS))


def evidence(sources, pairs=(), excluded=(), pseudonyms=PSEUDONYMS):
    """The catalogs' rows and their groups, as the audit makes them."""
    tables = [catalog_of(source, rows, pseudonyms).to_pandas() for source, rows in sources.items()]
    images = pd.concat(tables, ignore_index=True)
    groups = group_images(images, ledger_of(pairs), list(sources))
    reasons = [dict(excluded).get(key) for key in zip(images["source"], images["image"], strict=True)]
    return images, groups.assign(excluded=pd.Series(reasons, dtype=object))


def divide(sources, settings=SETTINGS, task=PNEUMONIA, **settled):
    """The split table, what is left out and the groups, of sources given as name and rows."""
    images, groups = evidence(sources, **settled)
    rows, left_out = split(settings, task, images, groups, list(sources))
    assert len(rows) + len(left_out) == len(images)
    read = set(zip(images["source"], images["image"], strict=True))
    assert read == {*keyed(rows), *keyed(left_out, "code")}
    assert (rows.groupby("group")["split"].nunique() == 1).all()
    return rows, left_out


def keyed(rows, value="split"):
    """(source, image) -> value."""
    return dict(zip(zip(rows["source"], rows["image"], strict=True), rows[value], strict=True))


def of_patient(rows, source, number):
    """The splits of the patient's images."""
    chosen = rows[(rows["source"] == source) & rows["image"].str.startswith(f"{number:04d}-")]
    return chosen["split"].tolist()


@pytest.fixture(scope="module")
def divided():
    return divide({"clinic": patients()})[0]


def test_a_group_is_a_patient_here_and_in_one_split(divided):
    assert len(divided) == 800
    assert (divided.groupby("group")["split"].nunique() == 1).all()
    assert (divided.groupby(divided["image"].str[:4])["split"].nunique() == 1).all()


def test_the_table_names_nobody_and_has_the_labels_of_the_task(divided):
    assert list(divided.columns) == [
        "image", "source", "drawn", "group", "view_position", "age_years", "sex", "split_official", "sha256",
        *CLASSES, "split",
    ]  # fmt: skip
    assert divided["image"].tolist() == sorted(divided["image"])


def test_shares_are_those_asked_for(divided):
    groups = divided.drop_duplicates("group")["split"].value_counts()
    assert groups["test"] == pytest.approx(80, abs=1)
    assert groups["validation"] == pytest.approx(40, abs=1)
    assert groups["calibration"] == pytest.approx(40, abs=1)
    assert groups["train"] == pytest.approx(240, abs=2)


@pytest.mark.parametrize(("finding", "count"), [("Normal", 200), ("Bacterial Pneumonia", 160),
                                                ("Viral Pneumonia", 40)])  # fmt: skip
def test_each_finding_is_spread_over_the_splits(divided, finding, count):
    present = divided[divided[finding] == 1].drop_duplicates("group")["split"].value_counts()
    assert present["test"] == pytest.approx(0.2 * count, abs=2)
    assert present["validation"] == pytest.approx(0.1 * count, abs=2)
    assert present["calibration"] == pytest.approx(0.1 * count, abs=2)


@pytest.mark.parametrize("seed", [1, 2])
def test_order_of_rows_does_not_matter(divided, seed):
    images, groups = evidence({"clinic": patients()})
    shuffled = images.sample(frac=1, random_state=seed)
    again, _ = split(SETTINGS, PNEUMONIA, shuffled, groups.sample(frac=1, random_state=seed + 9), ["clinic"])
    pd.testing.assert_frame_equal(again, divided)


def test_the_key_of_pseudonyms_does_not_matter(divided):
    again, _ = divide({"clinic": patients()}, pseudonyms=Pseudonyms(b"another key of thirty-two bytes!"))
    pd.testing.assert_frame_equal(again, divided)


def test_another_key_of_the_split_gives_another_split(divided):
    other, _ = divide({"clinic": patients()}, others(key="thorax-2"))
    assert (other["split"] != divided["split"]).mean() > 0.3


def test_another_source_does_not_matter(divided):
    both, _ = divide({"clinic": patients(), "alps": patients(123)})
    assert both["source"].value_counts().to_dict() == {"clinic": 800, "alps": 246}
    assert keyed(both).items() >= keyed(divided).items()
    theirs = both[both["source"] == "alps"].drop_duplicates("group")["split"].value_counts(normalize=True)
    assert theirs["test"] == pytest.approx(0.2, abs=0.02)


def test_a_source_whose_images_are_copies_follows_the_home_that_stays(divided):
    pairs = [(("alps", f"{number:04d}-0.png"), ("clinic", f"{number:04d}-1.png")) for number in range(100)]
    both, _ = divide({"clinic": patients(), "alps": patients(123)}, pairs=pairs)
    assert keyed(both).items() >= keyed(divided).items()
    for number in range(100):
        assert len({*of_patient(both, "clinic", number), *of_patient(both, "alps", number)}) == 1
    assert both["group"].nunique() == 400 + 23


def test_of_two_groups_that_a_new_source_connects_only_those_move(divided):
    # patients in different splits, for either would do for one alone
    one, other = (divided[divided["split"] == name]["image"].iloc[0] for name in ("train", "test"))
    pairs = [(("alps", "0007-0.png"), ("clinic", one)), (("clinic", other), ("alps", "0007-1.png"))]
    both, _ = divide({"clinic": patients(), "alps": patients(20)}, pairs=pairs)
    moved = {image[:4] for (source, image), part in keyed(divided).items() if keyed(both)[source, image] != part}
    assert len(moved) == 1
    assert moved <= {one[:4], other[:4]}
    joined = [*of_patient(both, "clinic", int(one[:4])), *of_patient(both, "clinic", int(other[:4]))]
    assert len({*joined, *of_patient(both, "alps", 7)}) == 1


def test_groups_that_only_another_source_labels_are_dealt_by_themselves(divided):
    unlabelled = [ImageRow(f"x{number:04d}.png", f"x{number:04d}") for number in range(200)]
    theirs = [ImageRow(f"{n:04d}.png", f"{n}", findings=one_hot(KINDS[n % 10])) for n in range(200)]
    pairs = [(("alps", f"{number:04d}.png"), ("clinic", f"x{number:04d}.png")) for number in range(200)]
    both, left_out = divide({"clinic": [*patients(), *unlabelled], "alps": theirs}, pairs=pairs)
    assert keyed(both[both["source"] == "clinic"]) == keyed(divided)
    assert Counter(left_out["code"]) == {"no_label": 200}
    shares = both[both["source"] == "alps"]["split"].value_counts()
    assert shares["test"] == pytest.approx(40, abs=2)
    assert shares["train"] == pytest.approx(120, abs=3)


def test_official_test_patients_are_the_test_split():
    # the second image of a test patient in the training part does not pull the patient out of test
    rows = [ImageRow(row.image, row.patient_id, findings=row.findings,
                     split_official="test" if row.image < "0060" and row.image.endswith("-0.png") else "train")
            for row in patients()]  # fmt: skip
    rows, _ = divide({"clinic": rows}, others(test=0.0))
    tested = rows[rows["split"] == "test"]
    assert {image[:4] for image in tested["image"]} == {f"{number:04d}" for number in range(60)}
    assert len(tested) == 120
    free = rows[rows["split"] != "test"].drop_duplicates("group")["split"].value_counts(normalize=True)
    assert free["validation"] == pytest.approx(0.1, abs=0.005)


def test_no_others_join_official_test_and_validation_patients():
    parts = ["test"] * 10 + ["validation"] * 20 + ["train"] * 370
    rows, _ = divide({"clinic": patients(official=parts.__getitem__)})
    for part, numbers in (("test", range(10)), ("validation", range(10, 30))):
        found = {image[:4] for image in rows[rows["split"] == part]["image"]}
        assert found == {f"{number:04d}" for number in numbers}
    free = rows[~rows["split"].isin(["test", "validation"])].drop_duplicates("group")["split"].value_counts()
    assert free["calibration"] == pytest.approx(37, abs=1)


def test_official_test_comes_before_official_validation():
    rows = [*patients(100), ImageRow("v.png", "0007", split_official="validation", findings=one_hot("Normal")),
            ImageRow("t.png", "0007", split_official="test", findings=one_hot("Normal"))]  # fmt: skip
    rows, _ = divide({"clinic": rows}, others(validation=0.0))
    assert of_patient(rows, "clinic", 7) == ["test", "test"]
    assert keyed(rows)["clinic", "v.png"] == "test"


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_group_that_touches_another_sources_official_part_goes_there_whole(divided, part):
    theirs = patients(50, lambda number: part if number < 5 else None)
    one = divided[divided["split"] == "train"]["image"].iloc[0]
    both, _ = divide({"clinic": patients(), "alps": theirs}, pairs=[(("clinic", one), ("alps", "0003-0.png"))])
    assert of_patient(both, "clinic", int(one[:4])) == [part] * 2
    assert of_patient(both, "alps", 3) == [part] * 2
    moved = [key for key, before in keyed(divided).items() if keyed(both)[key] != before]
    assert {image[:4] for _, image in moved} == {one[:4]}


def test_images_that_the_audit_excludes_are_left_out_with_its_code(divided):
    excluded = {("clinic", "0007-0.png"): "leaks_official_test", ("clinic", "none.png"): "leaks_official_test"}
    rows, left_out = divide({"clinic": [*patients(), ImageRow("none.png", "x")]}, excluded=excluded)
    assert len(rows) == 799
    assert left_out.to_dict("records") == [
        {"source": "clinic", "image": "0007-0.png", "code": "leaks_official_test"},
        {"source": "clinic", "image": "none.png", "code": "leaks_official_test"},
    ]


def test_a_multiclass_row_needs_every_label():
    rows = [*patients(100), ImageRow("half.png", "x", findings={"Normal": 0}), ImageRow("none.png", "y")]
    rows, left_out = divide({"clinic": rows})
    assert len(rows) == 200
    assert keyed(left_out, "code") == {("clinic", "half.png"): "no_label", ("clinic", "none.png"): "no_label"}


def test_a_multilabel_row_needs_one_label():
    rows = [ImageRow(f"{n}.png", f"{n}", findings={"Effusion": n % 2}) for n in range(100)]
    rows, left_out = divide({"clinic": [*rows, ImageRow("none.png", "y")]}, task=THORACIC)
    assert keyed(left_out, "code") == {("clinic", "none.png"): "no_label"}
    assert rows["Edema"].isna().all()
    tested = rows[rows["split"] == "test"]
    assert tested["Effusion"].sum() == pytest.approx(len(tested) / 2, abs=2)


def unsure(count=300):
    """Each has an effusion or not; of three one may have an edema, and one more has that edema alone to tell."""
    rows = []
    for number in range(count):
        findings = {} if number % 3 == 2 else {"Effusion": number % 2}
        uncertain = ("Edema",) if number % 3 else ()
        rows.append(ImageRow(f"{number:03d}.png", f"{number}", findings=findings, uncertain=uncertain))
    return rows


def test_uncertain_findings_may_stay_unknown():
    rows, left_out = divide({"clinic": unsure()}, task=THORACIC)
    assert rows["Edema"].isna().all()
    assert len(rows) == 200
    assert left_out["code"].tolist() == ["no_label"] * 100


@pytest.mark.parametrize(("policy", "low", "high"), [("zeros", 0, 0), ("ones", 1, 1), ("smoothed_ones", 0.55, 0.85)])
def test_uncertain_findings_are_what_the_policy_says_in_training_alone(policy, low, high):
    rows, left_out = divide({"clinic": unsure()}, others(uncertain=policy), THORACIC)
    number = rows["image"].str[:3].astype(int)
    trained = rows["split"] == "train"
    told = rows[trained & (number % 3 > 0)]["Edema"]
    assert len(told) > 100
    assert told.between(low - 1e-6, high + 1e-6).all()
    assert rows[~trained | (number % 3 == 0)]["Edema"].isna().all()
    # What is known is not touched, and who has nothing but an uncertain label is measured nowhere.
    assert rows[number % 3 < 2]["Effusion"].tolist() == (number[number % 3 < 2] % 2).tolist()
    assert rows[number % 3 == 2]["split"].eq("train").all()
    assert set(left_out["code"]) == {"no_label"}
    assert {int(image[:3]) % 3 for image in left_out["image"]} == {2}


def test_smoothed_labels_differ_from_image_to_image_and_stay_the_same():
    smoothed = others(uncertain="smoothed_ones")
    rows, _ = divide({"clinic": unsure()}, smoothed, THORACIC)
    again, _ = divide({"clinic": unsure()[::-1]}, smoothed, THORACIC)
    pd.testing.assert_frame_equal(again, rows)
    told = rows["Edema"].dropna()
    assert told.nunique() > 0.95 * len(told)
    assert told.mean() == pytest.approx(0.7, abs=0.03)
    assert told.min() < 0.57
    assert told.max() > 0.83


def test_a_multiclass_task_knows_no_uncertain_label():
    rows = [ImageRow("u.png", "u", findings={"Normal": 0}, uncertain=CLASSES[1:]), *patients(100)]
    ones, _ = divide({"clinic": rows}, others(uncertain="ones"))
    ignored, _ = divide({"clinic": rows})
    pd.testing.assert_frame_equal(ones, ignored)


def test_an_external_source_is_measured_alone_and_takes_nobody_along(divided):
    theirs = [*patients(50, lambda number: "test" if number < 9 else "train"), ImageRow("none.png", "0003")]
    copied = [f"{number:04d}-0.png" for number in (0, 7, 11)]
    pairs = [(("clinic", image), ("alps", image)) for image in copied]
    clinic = [*patients(), ImageRow("none.png", "0007")]
    rows, left_out = divide({"clinic": clinic, "alps": theirs}, others(external=["alps"]), pairs=pairs)
    assert rows[rows["source"] == "alps"]["split"].tolist() == ["external"] * 100
    assert keyed(left_out, "code") == {
        **{("clinic", f"{image[:4]}-{number}.png"): "belongs_to_external" for image in copied for number in range(2)},
        ("alps", "none.png"): "no_label", ("clinic", "none.png"): "no_label",
    }  # fmt: skip
    ours = rows[rows["source"] == "clinic"]
    assert len(ours) == 794
    assert keyed(ours).items() <= keyed(divided).items()


def test_a_source_is_external_also_where_it_comes_first():
    pairs = [(("clinic", "0000-0.png"), ("alps", "0001-0.png"))]
    rows, left_out = divide({"alps": patients(50), "clinic": patients()}, others(external=["alps"]), pairs=pairs)
    assert set(rows[rows["source"] == "alps"]["split"]) == {"external"}
    assert set(rows[rows["source"] == "clinic"]["split"]) == {"train", "validation", "calibration", "test"}
    assert Counter(left_out["code"]) == {"belongs_to_external": 2}


def test_no_labels_of_the_task_is_an_error():
    rows = [ImageRow(f"{n}.png", f"{n}", findings={"Effusion": 1}) for n in range(100)]
    with pytest.raises(LabelsError, match="Task pneumonia: expected labelled images, but no source in params"):
        divide({"clinic": rows})


def test_too_few_groups_is_an_error():
    with pytest.raises(LabelsError, match=r"Task pneumonia: too few groups \(2\) for the split \w+\."):
        divide({"clinic": patients(2)})


def test_an_external_source_without_labels_is_an_error():
    theirs = [ImageRow("a.png", "1"), ImageRow("b.png", "2")]
    with pytest.raises(LabelsError, match=r"for the split external"):
        divide({"clinic": patients(), "alps": theirs}, others(external=["alps"]))


def test_a_part_that_is_not_asked_for_may_be_empty():
    rows, _ = divide({"clinic": patients(20)}, others(test=0.0, calibration=0.0))
    assert set(rows["split"]) == {"train", "validation"}


WORDS = ("pneumonia", "data/catalog", "data/audit/groups.parquet", "data/audit/overlaps.parquet",
         "data/splits/pneumonia.parquet", "data/splits/pneumonia.left_out.csv")  # fmt: skip


@pytest.fixture
def audited(tmp_path):
    """A folder as the audit leaves it, of two sources that share an image."""
    write_params(tmp_path, sources=["clinic", "alps"], split=SETTINGS.model_dump())
    sources = {"clinic": [*patients(60), ImageRow("none.png", "x")], "alps": patients(30)}
    pairs = [(("clinic", "0001-0.png"), ("alps", "0002-0.png"))]
    for folder in ("catalog", "audit"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for source, rows in sources.items():
        catalog_of(source, rows).to_pandas().to_parquet(tmp_path / f"data/catalog/{source}.parquet")
    _, groups = evidence(sources, pairs)
    groups.to_parquet(tmp_path / "data/audit/groups.parquet", index=False)
    ledger_of(pairs).to_parquet(tmp_path / "data/audit/overlaps.parquet", index=False)
    return tmp_path


def test_the_stage_writes_the_table_and_what_is_left_out(audited):
    stage = start_stage(audited, "split", *WORDS)
    _, complaints = stage.communicate()
    assert stage.returncode == 0, complaints
    rows = pd.read_parquet(audited / "data/splits/pneumonia.parquet")
    assert Counter(rows["source"]) == {"clinic": 120, "alps": 60}
    assert rows["split"].value_counts(normalize=True)["train"] == pytest.approx(0.6, abs=0.05)
    assert len({*of_patient(rows, "clinic", 1), *of_patient(rows, "alps", 2)}) == 1
    listing = (audited / "data/splits/pneumonia.left_out.csv").read_text()
    assert listing == "source,image,code\nclinic,none.png,no_label\n"


def test_the_stage_refuses_groups_through_which_a_patient_leaks(audited):
    path = audited / "data/audit/groups.parquet"
    groups = pd.read_parquet(path)
    alone = groups["image"] + groups["source"]
    groups.assign(group=alone, part=alone, home=groups["source"]).to_parquet(path, index=False)
    stage = start_stage(audited, "split", *WORDS)
    _, complaints = stage.communicate()
    assert stage.returncode == 1
    assert "Pairs of images that would stand on both sides of a split: " in complaints
    assert complaints.endswith("Run dvc repro audit, and report this if it stays.\n")
    assert not (audited / "data/splits").exists()
