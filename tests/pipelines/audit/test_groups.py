"""What belongs together: by patient, by copies, through any number of both; and where official lists leak."""

import numpy as np
import pandas as pd
import pytest

from pipelines.audit.groups import group_images, official_leaks
from pipelines.audit.ledger import APART, COLUMNS, SAME

LEAK = ["source", "image", "split_official", "test_image", "shared"]


def images_of(*rows):
    """Rows of source, image, patient and the publisher's part; an image's file is named as it is."""
    table = pd.DataFrame(rows, columns=["source", "image", "patient_id", "split_official"])
    names = [f"{image:0>4}".ljust(64, "f") for image in table["image"]]
    return table.assign(sha256=pd.Series(names, dtype=str))


def ledger_of(*pairs, decision=SAME):
    """Pairs such as ("one/a", "two/b")."""
    ledger = pd.DataFrame([dict(zip(COLUMNS[:4], "/".join(pair).split("/"), strict=True)) for pair in pairs])
    return ledger.reindex(columns=list(COLUMNS)).assign(decision=decision, kind="picture")


def name_of(image):
    return f"{image:0>4}".ljust(16, "f")


def together(groups, column="group"):
    """Which images are of one group."""
    keys = groups["source"] + "/" + groups["image"]
    return {frozenset(keys[rows]) for rows in groups.groupby(column).groups.values()}


FOUR = images_of(
    ("one", "a1", "ann", None), ("one", "b1", "bob", None), ("one", "b2", "bob", None), ("one", "c1", "cat", None)
)


def test_images_of_one_patient_are_one_group():
    groups = group_images(FOUR, ledger_of(), ["one"])
    assert together(groups) == {frozenset({"one/a1"}), frozenset({"one/b1", "one/b2"}), frozenset({"one/c1"})}
    assert groups["group"].tolist() == [name_of("a1"), name_of("b1"), name_of("b1"), name_of("c1")]
    assert groups[["source", "image"]].equals(FOUR[["source", "image"]])


def test_a_pair_joins_the_patients_of_both_images():
    groups = group_images(FOUR, ledger_of(("one/a1", "one/b2")), ["one"])
    assert together(groups) == {frozenset({"one/a1", "one/b1", "one/b2"}), frozenset({"one/c1"})}


def test_a_pair_that_is_kept_apart_joins_nothing():
    groups = group_images(FOUR, ledger_of(("one/a1", "one/b2"), decision=APART), ["one"])
    assert len(together(groups)) == 3


def test_chains_of_patients_and_pairs_are_followed_across_sources():
    two = images_of(("two", "x1", "xia", None), ("two", "x2", "xia", None), ("three", "y1", "yan", None))
    images = pd.concat([FOUR, two], ignore_index=True)
    pairs = ledger_of(("one/b1", "two/x1"), ("three/y1", "two/x2"), ("one/a1", "three/y1"))
    groups = group_images(images, pairs, ["one", "two", "three"])
    chain = frozenset({"one/a1", "one/b1", "one/b2", "two/x1", "two/x2", "three/y1"})
    assert together(groups) == {chain, frozenset({"one/c1"})}
    assert set(groups["home"]) == {"one"}
    assert set(groups["group"]) == {name_of("a1"), name_of("c1")}


def test_a_patient_whom_two_sources_share_is_one_group():
    images = images_of(("one", "a", "ann", None), ("two", "b", "ann", None), ("two", "c", "cat", None))
    groups = group_images(images, ledger_of(), ["one", "two"])
    assert together(groups) == {frozenset({"one/a", "two/b"}), frozenset({"two/c"})}
    assert together(groups, "part") == {frozenset({"one/a"}), frozenset({"two/b"}), frozenset({"two/c"})}


def test_part_is_the_group_as_it_would_be_without_other_sources():
    two = images_of(("two", "x1", "xia", None), ("two", "x2", "yan", None), ("two", "x3", "yan", None))
    images = pd.concat([FOUR, two], ignore_index=True)
    joined = ledger_of(("one/b1", "two/x1"), ("one/b2", "two/x3"), ("one/a1", "one/c1"))
    groups = group_images(images, joined, ["one", "two"])
    for source in ("one", "two"):
        rows = images[images["source"] == source].reset_index(drop=True)
        within = joined[(joined["source_a"] == source) & (joined["source_b"] == source)]
        alone = group_images(rows, within, [source])
        assert groups["part"][groups["source"] == source].tolist() == alone["group"].tolist()
        assert alone["part"].equals(alone["group"])


def test_a_group_is_at_home_in_the_source_that_is_named_first():
    images = images_of(("one", "z", "zoe", None), ("two", "a", "ann", None), ("two", "b", "bob", None))
    pairs = ledger_of(("one/z", "two/a"))
    first = group_images(images, pairs, ["one", "two"])
    assert first["home"].tolist() == ["one", "one", "two"]
    assert first["group"].tolist() == [name_of("z"), name_of("z"), name_of("b")]
    other = group_images(images, pairs, ["two", "one"])
    assert other["home"].tolist() == ["two", "two", "two"]
    assert other["group"].tolist() == [name_of("a"), name_of("a"), name_of("b")]


@pytest.fixture
def many(noise):
    """200 images of two sources and 80 patients, with 30 pairs."""
    sources, patients = noise.choice(["one", "two"], 200), noise.integers(0, 80, 200)
    rows = [
        (source, f"{n:03d}", f"{source}-{p}", None) for n, (source, p) in enumerate(zip(sources, patients, strict=True))
    ]
    images = images_of(*rows)
    keys = (images["source"] + "/" + images["image"]).to_numpy()
    images["sha256"] = noise.permutation(images["sha256"])
    return images, ledger_of(*[tuple(noise.choice(keys, 2, replace=False)) for _ in range(30)])


def by_image(groups):
    return groups.set_index(["source", "image"]).sort_index()


def test_names_do_not_depend_on_the_order_of_rows(many, noise):
    images, pairs = many
    shuffled = images.iloc[noise.permutation(len(images))]
    for rows in (shuffled, shuffled.reset_index(drop=True)):
        again = group_images(rows, pairs.iloc[::-1], ["one", "two"])
        pd.testing.assert_frame_equal(by_image(again), by_image(group_images(images, pairs, ["one", "two"])))


def test_names_do_not_depend_on_what_patients_are_called(many):
    images, pairs = many
    renamed = images.assign(patient_id=[f"{patient[::-1]}-of-another-key" for patient in images["patient_id"]])
    pd.testing.assert_frame_equal(
        group_images(renamed, pairs, ["one", "two"]), group_images(images, pairs, ["one", "two"])
    )


def test_a_source_that_is_added_later_renames_no_group(many):
    images, pairs = many
    later = images_of(*[("new", f"{number:03d}", f"new-{number}", None) for number in range(50)])
    later["sha256"] = "0000" + later["sha256"].str[4:]  # less than any that was there
    keys = images["source"] + "/" + images["image"]
    links = ledger_of(*[(keys[number * 4], f"new/{number:03d}") for number in range(40)])
    before = group_images(images, pairs, ["one", "two"])
    after = group_images(
        pd.concat([later, images], ignore_index=True), pd.concat([links, pairs]), ["one", "two", "new"]
    )
    pd.testing.assert_frame_equal(after[after["source"] != "new"].reset_index(drop=True), before)
    assert (after["home"] == "new").sum() == 10


OFFICIAL = images_of(
    ("one", "train1", "ann", "train"),
    ("one", "val1", "ann", "validation"),
    ("one", "test1", "ann", "test"),
    ("one", "train2", "bob", "train"),
    ("one", "test2", "cat", "test"),
    ("one", "train3", "dan", "train"),
    ("one", "free", "ann", None),
    ("two", "train1", "eve", "train"),
    ("two", "train4", "cat2", "train"),
)


def leaks_of(images, *pairs):
    groups = group_images(images, ledger_of(*pairs), ["one", "two"])
    return official_leaks(images, groups)


def test_a_patient_in_training_and_test_is_a_leak():
    leaks = leaks_of(OFFICIAL)
    assert leaks[LEAK].to_numpy().tolist() == [
        ["one", "train1", "train", "test1", "patient"],
        ["one", "val1", "validation", "test1", "patient"],
    ]
    assert leaks["group"].tolist() == [name_of("free")] * 2  # the least hash of Ann's


def test_an_image_in_training_and_test_is_a_leak():
    leaks = leaks_of(OFFICIAL, ("one/test2", "one/train2"))
    assert leaks[LEAK].to_numpy().tolist()[-1] == ["one", "train2", "train", "test2", "image"]
    assert len(leaks) == 3


def test_the_patients_own_test_image_is_named_before_a_copy():
    leaks = leaks_of(OFFICIAL, ("one/train1", "one/test2")).set_index("image")
    assert leaks.loc["train1", ["test_image", "shared"]].tolist() == ["test1", "patient"]


def test_test_images_of_another_source_are_no_leak():
    leaks = leaks_of(OFFICIAL, ("one/test2", "two/train4"))
    assert set(leaks["source"]) == {"one"}
    assert len(leaks) == 2


def test_a_leak_may_go_through_another_source():
    leaks = leaks_of(OFFICIAL, ("one/test2", "two/train1"), ("two/train1", "one/train3"))
    assert leaks[LEAK].to_numpy().tolist()[-1] == ["one", "train3", "train", "test2", "image"]


@pytest.mark.parametrize("parts", [["train", "validation", None], ["test", "test", "test"], [None, None, None]])
def test_lists_that_are_not_both_there_cannot_leak(parts):
    images = images_of(*[("one", f"{number}", "ann", part) for number, part in enumerate(parts)])
    leaks = leaks_of(images)
    assert len(leaks) == 0
    assert list(leaks.columns) == [*LEAK, "group"]


def test_no_images_are_no_groups():
    groups = group_images(images_of(), ledger_of(), ["one"])
    assert len(groups) == 0
    assert list(groups.columns) == ["source", "image", "group", "home", "part"]
    assert np.array_equal(official_leaks(images_of(), groups).shape, (0, 6))
