"""COVID-19 Image Repository: every image is of a patient with COVID-19."""

from collections import Counter

import pytest

from models.errors import TableError
from pipelines.sources.hannover import Hannover
from pipelines.sources.source import Exclusion, ImageRow
from tests.pipelines.conftest import write_picture
from tests.pipelines.sources.listing import listed, write_text

HEADER = "patient_id,image_id,sex,age,size,weight,admission_offset,modality,projection,crp_val,po2_val"


def published(folder, rng):
    raw = folder / "hannover"
    write_text(
        raw / "data.csv",
        HEADER,
        "024e7871,fff13f3a,f,,,,0,CR,pa,3.0,55.0",
        "042f06a9,b343e657,m,,,,0,CR,ap,5.0,80.0",
        "042f06a9,53c9be49,m,,,,-2,DX,ap,,-inf",
    )
    for name in ("fff13f3a", "b343e657", "53c9be49"):
        write_picture(raw / f"png/{name}.png", rng)
    return raw


def one(tmp_path, modality="CR", projection="pa"):
    write_text(tmp_path / "data.csv", HEADER, f"024e7871,fff13f3a,f,,,,0,{modality},{projection},,")
    (row,) = listed(Hannover(), tmp_path)
    return row


def test_each_row_is_an_image_of_a_patient_with_covid(tmp_path, noise):
    assert listed(Hannover(), published(tmp_path, noise)) == [
        ImageRow("png/fff13f3a.png", "024e7871", view_position="PA", sex="F", findings={"COVID-19": 1}),
        ImageRow("png/b343e657.png", "042f06a9", view_position="AP", sex="M", findings={"COVID-19": 1}),
        ImageRow("png/53c9be49.png", "042f06a9", view_position="AP", sex="M", findings={"COVID-19": 1}),
    ]


def test_a_projection_that_is_not_given_is_unknown(tmp_path):
    assert one(tmp_path, projection="").view_position is None


@pytest.mark.parametrize(
    ("columns", "code", "reason"),
    [
        ({"projection": "lateral"}, "not_frontal", "its projection is 'lateral', neither pa nor ap"),
        ({"projection": "ll"}, "not_frontal", "its projection is 'll', neither pa nor ap"),
        ({"modality": "CT"}, "not_radiograph", "its modality is 'CT', neither CR nor DX"),
    ],
)
def test_what_is_no_frontal_radiograph_is_given_up(tmp_path, columns, code, reason):
    assert one(tmp_path, **columns) == Exclusion("png/fff13f3a.png", code, reason)


def test_a_row_whose_image_is_missing_is_a_row(tmp_path):
    assert one(tmp_path).image == "png/fff13f3a.png"
    assert not (tmp_path / "png").exists()


def test_a_table_of_other_columns_is_refused(tmp_path):
    write_text(tmp_path / "data.csv", "patient,image", "1,2")
    with pytest.raises(TableError, match="expected the columns patient_id, image_id"):
        listed(Hannover(), tmp_path)


def test_the_publishers_own_folder(publishers):
    found = listed(Hannover(), publishers / "hannover")
    assert Counter(row.view_position for row in found) == {"AP": 194, "PA": 49}
    assert len({row.patient_id for row in found}) == 71
