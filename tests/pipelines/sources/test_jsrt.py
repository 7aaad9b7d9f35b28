"""JSRT: raw pixels without header, and tables without one."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import MalformedFileError, TableError, UnusableRadiographError
from pipelines.raw import RawFiles
from pipelines.sources.card import load_card
from pipelines.sources.jsrt import Jsrt
from pipelines.sources.source import Box, Exclusion
from tests.pipelines.conftest import ROOT, write_picture

NODULES, NO_NODULES = "Clinical_Information/CLNDAT_EN.txt", "Clinical_Information/CNNDAT_EN.TXT"
# Lines end as on old Macintoshes, and the second table is set in columns of blanks.
NODULE_CASES = (
    "JPCLN001.IMG\t5\t14\t53\tmale\t1634\t692\tmalignant\tl.upper lobe\tlung cancer\r"
    "JPCLN002.IMG\t5\t28\t78\tfemale\t2020\t1024\tbenign\tl.upper lobe(S5)\tpulmonary hematoma\r"
    "JPCLN003.IMG\t3\t?\t?\tfemale\t1303\t447\tmalignant\tl.upper lobe(S1+2)\tlung cancer\r\r"
)
OTHER_CASES = "JPCNN001.IMG  61  female  non-nodule\rJPCNN010.IMG  54  male    non-nodule\r"


def published(folder: Path, rng: np.random.Generator) -> Path:
    """One case as published, 8 MB, and conversions for the others."""
    raw = folder / "Nodule154images/JPCLN001.IMG"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(rng.integers(0, 4096, (2048, 2048), np.uint16).astype(">u2").tobytes())
    for name in ("JPCLN002", "JPCLN003", "JPCNN001", "JPCNN010"):
        write_picture(folder / f"png/{name}.png", rng)
    (folder / NODULES).parent.mkdir()
    (folder / NODULES).write_text(NODULE_CASES, newline="")
    (folder / NO_NODULES).write_text(OTHER_CASES, newline="")
    return folder


def rows(folder: Path):
    return list(Jsrt().rows(RawFiles(folder), load_card(ROOT / "data/sources/jsrt.yaml")))


@pytest.fixture
def raw(tmp_path, noise):
    return published(tmp_path, noise)


def test_malignant_is_lung_cancer_and_benign_is_none(raw):
    assert [(row.patient_id, row.findings["Nodule"], row.findings["Lung Cancer"]) for row in rows(raw)] == [
        ("JPCLN001", 1, 1),
        ("JPCLN002", 1, 0),
        ("JPCLN003", 1, 1),
        ("JPCNN001", 0, 0),
        ("JPCNN010", 0, 0),
    ]


def test_age_and_sex_are_the_tables_and_a_question_mark_is_unknown(raw):
    assert [(row.age_years, row.sex, row.view_position) for row in rows(raw)] == [
        (53.0, "M", "PA"),
        (78.0, "F", "PA"),
        (None, "F", "PA"),
        (61.0, "F", "PA"),
        (54.0, "M", "PA"),
    ]


def test_the_box_is_a_square_about_the_nodule_as_wide_as_it_is_large(raw):
    # 14 mm are 80 pixels of 0.175 mm; 28 mm are 160, of which 2048 - 1940 = 108 fit.
    first, second, unsized, *others = [row.boxes for row in rows(raw)]
    (box,) = first
    assert (box.finding, box.left, box.top) == ("Nodule", pytest.approx(1594 / 2048), pytest.approx(652 / 2048))
    assert (box.width, box.height) == (pytest.approx(80 / 2048), pytest.approx(80 / 2048))
    (box,) = second
    assert box == Box("Nodule", *(pytest.approx(pixels / 2048) for pixels in (1940, 944, 108, 160)))
    assert [unsized, *others] == [(), (), ()]


def test_an_image_is_found_by_its_case_wherever_it_lies(raw):
    assert [row.image for row in rows(raw)] == [
        "Nodule154images/JPCLN001.IMG",
        "png/JPCLN002.png",
        "png/JPCLN003.png",
        "png/JPCNN001.png",
        "png/JPCNN010.png",
    ]


def test_the_published_file_comes_before_its_conversion(raw, noise):
    write_picture(raw / "converted/JPCLN001.png", noise)
    write_picture(raw / "png/JPCLN001.jpg", noise)
    assert rows(raw)[0].image == "Nodule154images/JPCLN001.IMG"


def test_a_row_for_a_missing_image_is_given_all_the_same(raw):
    (raw / "Nodule154images/JPCLN001.IMG").unlink()
    assert rows(raw)[0].image == "JPCLN001.IMG"


def test_masks_and_other_pictures_are_no_images(raw, noise):
    write_picture(raw / "masks/JPCLN001_mask.png", noise)
    write_picture(raw / "overview.png", noise)
    assert len(RawFiles(raw).matching(Jsrt.images)) == 5


def test_large_values_are_dark_and_twelve_bits_become_sixteen():
    values = np.zeros((2048, 2048), ">u2")
    values[0, :4] = (0, 1, 2048, 4095)
    levels = Jsrt().decode(values.tobytes()).levels
    assert (levels.shape, levels.dtype) == ((2048, 2048), np.uint16)
    # (4095 - value) * 65535 / 4095: 65518.996 and 32759.49
    assert levels[0, :4].tolist() == [65535, 65519, 32759, 0]


def test_a_conversion_is_read_as_it_is(raw, noise):
    write_picture(raw / "a.png", noise, 40)
    write_picture(raw / "a.jpg", noise, 50)
    assert Jsrt().decode((raw / "a.png").read_bytes()).levels.shape == (40, 40)
    assert Jsrt().decode((raw / "a.jpg").read_bytes()).levels.shape == (50, 50)
    write_picture(raw / "small.png", noise, 8)
    with pytest.raises(UnusableRadiographError):
        Jsrt().decode((raw / "small.png").read_bytes())


@pytest.mark.parametrize("size", [0, 8_388_607, 8_388_610])
def test_a_file_of_another_size_is_malformed(size):
    with pytest.raises(MalformedFileError, match=rf"JSRT file, but it has {size:,} bytes instead of 8,388,608"):
        Jsrt().decode(bytes(size))


def test_values_beyond_twelve_bits_are_malformed():
    with pytest.raises(MalformedFileError, match="values above 4095"):
        Jsrt().decode(np.full((2048, 2048), 4096, ">u2").tobytes())


def test_an_unknown_kind_is_given_up_by_name(raw):
    (raw / NODULES).write_text("JPCLN001.IMG\t5\t14\t53\tmale\t1634\t692\tdoubtful\tlobe\tlung cancer\n")
    (raw / NO_NODULES).write_text("JPCNN001.IMG 61 female nodule\n")
    with_nodule, without = rows(raw)
    assert isinstance(with_nodule, Exclusion)
    assert (with_nodule.image, with_nodule.code) == ("Nodule154images/JPCLN001.IMG", "unknown_label")
    assert "'doubtful'" in with_nodule.reason
    assert (without.code, "'nodule'" in without.reason) == ("unknown_label", True)


def test_a_line_with_too_few_cells_is_refused(raw):
    (raw / NODULES).write_text("JPCLN001.IMG\t5\t14\t53\n")
    with pytest.raises(TableError, match="expected 8 cells a line, but received 4 in line 1"):
        rows(raw)


def test_a_missing_table_is_refused(raw):
    (raw / NO_NODULES).unlink()
    with pytest.raises(TableError, match=r"CNNDAT_EN\.TXT: expected a readable file"):
        rows(raw)
