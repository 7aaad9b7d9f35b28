"""Cohen et al. 2020: a path up a tree of findings, whole in newer tables, its last name in older ones."""

from collections import Counter

import pytest

from models.errors import TableError
from models.findings import find_task
from pipelines.sources.covid_chestxray import CovidChestXray
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import write_picture
from tests.pipelines.sources.listing import listed, write_text

HEADER = "patientid,offset,sex,age,finding,survival,view,modality,date,location,folder,filename,license"


def line(finding, view="PA", modality="X-ray", patient="2", sex="M", age="65", filename="a.png"):
    return f'{patient},0,{sex},{age},"{finding}",Y,{view},{modality},2020,"Hanoi, Vietnam",images,{filename},CC BY'


def published(folder, rng):
    raw = folder / "covid_chestxray"
    write_text(
        raw / "metadata.csv",
        HEADER,
        line("Pneumonia/Viral/COVID-19", filename="auntminnie-a-2020_01_28.jpeg"),
        line("Pneumonia/Viral/COVID-19", view="AP Supine", filename="auntminnie-b-2020_01_28.jpeg"),
        line("Pneumonia/Viral/COVID-19", view="L", filename="nejmoa2001191_f1-L.jpeg"),
        line("Pneumonia/Viral/COVID-19", view="Axial", modality="CT", filename="jkms-35-e79-g001-l-d.jpg"),
        line("Pneumonia/Bacterial/Streptococcus", patient="311a", sex="F", age="", filename="16663_1_1.jpg"),
        line("No Finding", patient="313b", sex="", filename="7-fatal.png"),
        line("todo", patient="314", view="", filename="F4341CE7.PNG"),
    )
    names = [row.rsplit(",", 2)[1] for row in (raw / "metadata.csv").read_text().splitlines()[1:]]
    for name in names:
        write_picture(raw / "images" / name, rng)
    return raw


def one(tmp_path, *words, **columns):
    write_text(tmp_path / "metadata.csv", HEADER, line(*words, **columns))
    (row,) = listed(CovidChestXray(), tmp_path)
    return row


@pytest.mark.parametrize(
    ("finding", "findings"),
    [
        ("Pneumonia/Viral/COVID-19", {"Pneumonia": 1, "Viral Pneumonia": 1, "COVID-19": 1}),
        ("Pneumonia/Viral/SARS", {"Pneumonia": 1, "Viral Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Viral/Influenza/H1N1", {"Pneumonia": 1, "Viral Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Viral/Herpes ", {"Pneumonia": 1, "Viral Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Viral", {"Pneumonia": 1, "Viral Pneumonia": 1}),
        ("Pneumonia/Bacterial", {"Pneumonia": 1, "Bacterial Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Bacterial/Staphylococcus/MRSA", {"Pneumonia": 1, "Bacterial Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Bacterial/Found Tomorrow", {"Pneumonia": 1, "Bacterial Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Fungal/Pneumocystis", {"Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Lipoid", {"Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia/Aspiration", {"Pneumonia": 1, "COVID-19": 0}),
        ("Pneumonia", {"Pneumonia": 1}),
        ("Tuberculosis", {"Tuberculosis": 1}),
        ("No Finding", {"Pneumonia": 0, "COVID-19": 0, "Tuberculosis": 0}),
    ],
)
def test_a_path_labels_all_that_it_passes(tmp_path, finding, findings):
    assert one(tmp_path, finding).findings == findings


@pytest.mark.parametrize(
    ("finding", "findings"),
    [
        ("COVID-19", {"Pneumonia": 1, "Viral Pneumonia": 1, "COVID-19": 1}),
        ("COVID-19, ARDS", {"Pneumonia": 1, "Viral Pneumonia": 1, "COVID-19": 1}),
        ("Varicella", {"Pneumonia": 1, "Viral Pneumonia": 1, "COVID-19": 0}),
        ("Mycoplasma Bacterial Pneumonia", {"Pneumonia": 1, "Bacterial Pneumonia": 1, "COVID-19": 0}),
        ("Pneumocystis", {"Pneumonia": 1, "COVID-19": 0}),
        ("Bacterial", {"Pneumonia": 1, "Bacterial Pneumonia": 1, "COVID-19": 0}),
    ],
)
def test_an_older_table_gives_the_last_name_alone(tmp_path, finding, findings):
    assert one(tmp_path, finding).findings == findings


@pytest.mark.parametrize("finding", ["todo", "Unknown", "", "ARDS"])
def test_what_is_not_known_is_a_row_without_findings(tmp_path, finding):
    row = one(tmp_path, finding)
    assert row == ImageRow("images/a.png", "2", view_position="PA", age_years=65.0, sex="M")


@pytest.mark.parametrize("finding", ["Pneumonia/Martian", "pneumonia", "COVID-19, Streptococcus", "fracture"])
def test_a_finding_outside_the_tree_is_given_up_by_name(tmp_path, finding):
    row = one(tmp_path, finding)
    assert row == Exclusion(
        "images/a.png", "unknown_label", f"its finding is '{finding}', which the publisher's tree lacks"
    )


@pytest.mark.parametrize(
    ("view", "position"),
    [("PA", "PA"), ("AP", "AP"), ("AP Supine", "AP"), ("AP Erect", "AP"), ("AP semi erect", "AP"), ("APS", "AP"),
     ("", None), ("?", None)],
)  # fmt: skip
def test_every_way_to_lie_before_the_tube_is_ap(tmp_path, view, position):
    assert one(tmp_path, "todo", view=view).view_position == position


@pytest.mark.parametrize(
    ("columns", "code", "reason"),
    [
        ({"view": "L"}, "not_frontal", "its view is 'L', neither PA nor AP"),
        ({"view": "Coronal"}, "not_frontal", "its view is 'Coronal', neither PA nor AP"),
        ({"view": "Axial", "modality": "CT"}, "not_radiograph", "its modality is 'CT', not 'X-ray'"),
        ({"modality": ""}, "not_radiograph", "its modality is '', not 'X-ray'"),
    ],
)
def test_what_is_no_frontal_radiograph_is_given_up(tmp_path, columns, code, reason):
    assert one(tmp_path, "Pneumonia/Viral/COVID-19", **columns) == Exclusion("images/a.png", code, reason)


def test_the_publishers_layout(tmp_path, noise):
    found = listed(CovidChestXray(), published(tmp_path, noise))
    assert [(row.image.removeprefix("images/"), type(row).__name__) for row in found] == [
        ("auntminnie-a-2020_01_28.jpeg", "ImageRow"),
        ("auntminnie-b-2020_01_28.jpeg", "ImageRow"),
        ("nejmoa2001191_f1-L.jpeg", "Exclusion"),
        ("jkms-35-e79-g001-l-d.jpg", "Exclusion"),
        ("16663_1_1.jpg", "ImageRow"),
        ("7-fatal.png", "ImageRow"),
        ("F4341CE7.PNG", "ImageRow"),
    ]
    assert [row.patient_id for row in found if isinstance(row, ImageRow)] == ["2", "2", "311a", "313b", "314"]
    assert [row.sex for row in found if isinstance(row, ImageRow)] == ["M", "M", "F", None, "M"]
    assert [row.age_years for row in found if isinstance(row, ImageRow)] == [65.0, 65.0, None, 65.0, 65.0]


def test_no_row_answers_the_childrens_task(tmp_path, noise):
    labelled = [set(row.findings) for row in listed(CovidChestXray(), published(tmp_path, noise))
                if isinstance(row, ImageRow)]  # fmt: skip
    assert not any({"Bacterial Pneumonia", "Viral Pneumonia"} <= findings for findings in labelled)
    assert "Normal" in find_task("pneumonia").findings
    assert "Normal" not in CovidChestXray.findings


def test_a_row_whose_image_is_missing_is_a_row(tmp_path):
    assert one(tmp_path, "todo", filename="gone.png").image == "images/gone.png"


def test_a_table_of_other_columns_is_refused(tmp_path):
    write_text(tmp_path / "metadata.csv", "Patientid,finding,view,filename", "1,COVID-19,PA,a.png")
    with pytest.raises(TableError, match="expected the columns patientid, sex, age, modality, folder"):
        listed(CovidChestXray(), tmp_path)


def test_the_publishers_own_folder(publishers):
    found = listed(CovidChestXray(), publishers / "covid_chestxray")
    assert Counter(type(row).__name__ for row in found) == {"ImageRow": 605}
    counts = Counter((finding, value) for row in found for finding, value in row.findings.items())
    assert counts == {
        ("Pneumonia", 1): 503, ("Viral Pneumonia", 1): 444, ("Bacterial Pneumonia", 1): 33, ("COVID-19", 1): 423,
        ("COVID-19", 0): 83, ("Pneumonia", 0): 13, ("Tuberculosis", 0): 13,
    }  # fmt: skip
    assert Counter(row.view_position for row in found) == {"PA": 302, "AP": 269, None: 34}
    assert len({row.patient_id for row in found}) == 360
