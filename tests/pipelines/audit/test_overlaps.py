"""The ledger: copies are found whatever was done to them, and little else is."""

from collections import Counter
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.ledger import COLUMNS, SAME
from pipelines.audit.overlaps import find_overlaps
from pipelines.params import Prepare
from pipelines.raw import RawFiles
from pipelines.shards import read_columns
from pipelines.sources import find_source
from pipelines.sources.card import load_card
from pipelines.sources.source import ImageRow
from pipelines.spread import EXECUTORS
from tests.pipelines.audit.copies import KINDS, distorted
from tests.pipelines.audit.pictures import described, real_chests
from tests.pipelines.audit.test_likeness import landscape
from tests.pipelines.conftest import ROOT, write_catalog

FIVE = ("covid_chestxray", "hannover", "kermany", "nih_chestxray14", "shenzhen")
SETTINGS = Prepare(max_unreadable=0.01, executor="local")
BLANK = np.full((96, 96), 128, np.uint8)


def ledger_of(*pictures, **known):
    images, thumbnails = described(pictures, **known)
    return find_overlaps(images, thumbnails, map)


def same_pairs(ledger):
    rows = ledger[ledger["decision"] == SAME]
    return {((row.source_a, row.image_a), (row.source_b, row.image_b)) for row in rows.itertuples()}


@pytest.fixture(scope="module")
def real(publishers):
    """40 images each of five publishers and 180 distorted copies of different ones: pictures, originals, patients."""
    rng = np.random.default_rng(20260101)
    pictures, patients, originals = [], {}, {}
    for source in FIVE:
        raw, card = RawFiles(publishers / source), load_card(ROOT / f"data/sources/{source}.yaml")
        rows = find_source(source).rows(raw, card)
        of_images = {row.image: row.patient_id for row in rows if isinstance(row, ImageRow)}
        for image, grey in real_chests(publishers, source, 40, rng).items():
            pictures.append((source, image, grey))
            patients[source, image] = (source, of_images[image])
    for number, place in enumerate(rng.choice(len(pictures), 180, replace=False)):
        source, image, grey = pictures[place]
        copy = ("copies", f"{KINDS[number % len(KINDS)]}/{number}.png")
        pictures.append((*copy, distorted(grey, copy[1].split("/")[0], rng)))
        originals[copy] = (source, image)
    return pictures, originals, patients


@pytest.fixture(scope="module")
def real_ledger(real):
    return ledger_of(*real[0])


def test_distorted_copies_of_real_radiographs_are_found_and_little_else(real, real_ledger):
    _, originals, patients = real
    pairs = same_pairs(real_ledger)
    found, right, wrong = set(), 0, []
    for one, other in pairs:
        if (one in originals) == (other in originals):
            continue
        copy, claimed = (one, other) if one in originals else (other, one)
        original = originals[copy]
        if claimed == original:
            found.add(copy)
        twins = tuple(sorted([original, claimed])) in pairs or patients[claimed] == patients[original]
        if claimed == original or twins:
            right += 1
        else:
            wrong.append((copy, claimed))
    recall, precision = len(found) / len(originals), right / (right + len(wrong))
    by_kind = Counter(copy[1].split("/")[0] for copy in found)
    figures = (
        f"recall {recall:.3f} {dict(by_kind)}, precision {precision:.3f}, missed {set(originals) - found}, {wrong}"
    )
    assert set(by_kind) == set(KINDS)
    assert recall >= 0.98, figures
    assert precision >= 0.98, figures


def test_no_two_copies_of_different_patients_are_one(real, real_ledger):
    _, originals, patients = real
    pairs = same_pairs(real_ledger)
    of_copies = [(originals[one], originals[other]) for one, other in pairs if one in originals and other in originals]
    strangers = [
        (one, other)
        for one, other in of_copies
        if patients[one] != patients[other] and tuple(sorted([one, other])) not in pairs
    ]
    assert len(strangers) <= 2, strangers


def test_a_negative_is_said_to_be_one(real, real_ledger):
    rows = real_ledger[(real_ledger["source_a"] == "copies") ^ (real_ledger["source_b"] == "copies")]
    rows = rows[rows["decision"] == SAME]
    kinds = np.where(rows["source_a"] == "copies", rows["image_a"], rows["image_b"])
    kinds = pd.Series(kinds, rows.index).str.split("/").str[0]
    assert rows["inverted"][kinds == "invert"].all()
    assert not rows["inverted"][~kinds.isin(["invert", "all"])].any()
    assert 0 < rows["inverted"][kinds == "all"].mean() < 1


def test_ledger_does_not_depend_on_the_order_of_rows_and_sources(real):
    pictures = [*real[0][::3], *[("again", f"{number}.png", real[0][0][2]) for number in range(3)]]
    shuffled = [pictures[place] for place in np.random.default_rng(1).permutation(len(pictures))]
    ledger = ledger_of(*pictures)
    assert len(same_pairs(ledger)) > 10
    pd.testing.assert_frame_equal(ledger_of(*shuffled), ledger)


@pytest.mark.usefixtures("ray_cluster")
# Ray Data's own settings warn of one of themselves
def test_a_cluster_and_this_machine_find_the_same():
    pictures = [("one", f"{seed}.png", landscape(seed)) for seed in range(30)]
    pictures += [("two", f"{seed}.png", 255 - landscape(seed)[5:, 3:]) for seed in range(30)]
    images, thumbnails = described(pictures)
    by_cluster, by_machine = (find_overlaps(images, thumbnails, EXECUTORS[name]) for name in ("ray", "local"))
    assert len(same_pairs(by_machine)) == 30
    pd.testing.assert_frame_equal(by_cluster, by_machine)


@pytest.fixture(scope="module")
def hannover_and_covid(publishers, tmp_path_factory):
    """Both sources whole, as catalog and prepare give them, with thumbnails."""
    data = tmp_path_factory.mktemp("data")
    images, thumbnails = [], []
    for name in ("hannover", "covid_chestxray"):
        table = write_catalog(find_source(name), publishers / name, data, SETTINGS)
        parts = read_columns(data / "shards" / name, ("image", "thumbnail"))
        pixels = {row["image"]: row["thumbnail"] for part in parts for row in part.to_pylist()}
        thumbnails += [np.frombuffer(pixels[image], np.uint8).reshape(96, 96) for image in table["image"]]
        images.append(table)
    return pd.concat(images, ignore_index=True), np.stack(thumbnails)


def shared_with_hannover(images, ledger):
    """Names of those images that the ledger says are in both sources, of those the publisher of one says are."""
    declared = set(images["copy_of"].dropna().str.removeprefix("hannover/"))
    pairs = same_pairs(ledger)
    stems = {(PurePosixPath(one[1]).stem, PurePosixPath(other[1]).stem) for one, other in pairs if one[0] != other[0]}
    return declared, {one for one, other in stems if one == other and one in declared}


def test_most_images_that_hannover_shares_are_found_by_their_pixels_alone(hannover_and_covid):
    images, thumbnails = hannover_and_covid
    assert images["source"].value_counts().to_dict() == {"covid_chestxray": 605, "hannover": 243}
    ledger = find_overlaps(images.assign(copy_of=None), thumbnails, map)
    declared, found = shared_with_hannover(images, ledger)
    assert len(declared) == 104
    assert len(found) >= 85, f"{len(found)} of 104 found by pixels"
    assert not ledger["declared"].any()


def test_every_image_that_hannover_shares_is_found_where_it_is_declared(hannover_and_covid):
    images, thumbnails = hannover_and_covid
    few = ((images["source"] == "hannover") | images["copy_of"].notna()).to_numpy()
    images = images[few]
    ledger = find_overlaps(images, thumbnails[few], map)
    declared, found = shared_with_hannover(images, ledger)
    assert len(found) == len(declared) == 104, f"{len(found)} of 104 found"
    assert ledger["declared"].sum() == 104
    by_publisher_alone = ledger["kind"] == "declared"
    assert 0 < by_publisher_alone.sum() <= 104 - 85
    assert ledger["correlation"][by_publisher_alone].isna().all()
    assert (ledger["decision"][ledger["declared"]] == SAME).all()


def test_the_same_file_is_found_within_and_across_sources():
    grey, others = landscape(1), [("one", f"{seed}.png", landscape(seed)) for seed in range(2, 8)]
    pictures = [("one", "a.png", grey), ("one", "b.png", grey), ("two", "c.png", grey), *others]
    ledger = ledger_of(*pictures)
    files = ledger[ledger["kind"] == "file"]
    assert same_pairs(ledger) == {(("one", "a.png"), ("one", "b.png")), (("one", "b.png"), ("two", "c.png"))}
    assert (
        files[["hash_distance", "cosine", "correlation", "inverted", "declared"]].to_numpy().tolist()
        == [[0, 1.0, 1.0, False, False]] * 2
    )


def test_drawings_are_compared_by_file_alone():
    pictures = [(source, f"{seed}.png", landscape(seed)) for source in ("drawings", "real") for seed in range(6)]
    pictures.append(("drawings", "moved.png", landscape(0)[3:]))
    pictures.append(("real", "moved.png", landscape(1)[3:]))
    drawn = [source == "drawings" for source, _, _ in pictures]
    ledger = ledger_of(*pictures, drawn=drawn)
    files = {(("drawings", f"{seed}.png"), ("real", f"{seed}.png")) for seed in range(6)}
    # A drawing's file may be among the real ones; these are still compared with each other.
    assert same_pairs(ledger) == files | {(("real", "1.png"), ("real", "moved.png"))}


def test_blank_images_of_different_files_are_not_one():
    blanks = [("one", f"blank{level}.png", np.full((96, 96), level, np.uint8)) for level in (0, 1, 128, 255)]
    ledger = ledger_of(*blanks, *[("one", f"{seed}.png", landscape(seed)) for seed in range(5)])
    assert same_pairs(ledger) == set()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_very_few_images_give_a_ledger(count):
    ledger = ledger_of(*[("one", f"{seed}.png", landscape(seed)) for seed in range(count)])
    assert list(ledger.columns) == list(COLUMNS)
    assert same_pairs(ledger) == set()


def test_of_two_images_one_may_be_a_copy():
    grey = landscape(1)
    ledger = ledger_of(("one", "a.png", grey), ("two", "b.png", 255 - grey))
    assert same_pairs(ledger) == {(("one", "a.png"), ("two", "b.png"))}
    assert ledger["inverted"].tolist() == [True]


def test_nothing_but_blank_images_gives_an_empty_ledger():
    assert (
        same_pairs(ledger_of(("one", "a.png", BLANK), ("two", "b.png", BLANK + 1), ("two", "c.png", BLANK + 2)))
        == set()
    )


def test_a_declared_copy_counts_whatever_its_pixels_say():
    pictures = [("copier", "images/b.jpg", landscape(2)), ("origin", "png/a.png", landscape(1))]
    (row,) = ledger_of(*pictures, copy_of=["origin/a", None]).itertuples(index=False)
    assert (row.source_a, row.image_a, row.source_b, row.image_b) == ("copier", "images/b.jpg", "origin", "png/a.png")
    assert (row.kind, row.declared, row.decision) == ("declared", True, SAME)
    assert np.isnan(row.correlation)


def test_a_declared_copy_that_is_found_too_keeps_its_figures():
    pictures = [("copier", "b.jpg", landscape(1)[2:]), ("origin", "a.png", landscape(1))]
    (row,) = ledger_of(*pictures, copy_of=["origin/a", None]).itertuples(index=False)
    assert (row.kind, row.declared, row.decision) == ("picture", True, SAME)
    assert row.correlation > 0.9


def test_a_copy_of_what_is_not_here_is_none():
    pictures = [("copier", "b.jpg", landscape(2)), ("origin", "a.png", landscape(1))]
    assert same_pairs(ledger_of(*pictures, copy_of=["origin/z", None])) == set()
    assert same_pairs(ledger_of(*pictures, copy_of=["elsewhere/a", None])) == set()
