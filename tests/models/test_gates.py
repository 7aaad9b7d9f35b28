"""Gates are open for chests like those of training, closed for others, and come back from their file as they were."""

import zipfile

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from models.errors import BundleFormatError
from models.gates import CHEST_RADIOGRAPH_FROM, IN_DISTRIBUTION_FROM, Gates, age_verdict, fit_gates, load_gates

FEATURES = 90


def chests_of(rng, count, features=FEATURES):
    """Embeddings in a plane of 6 dimensions, with little around it."""
    plane = np.random.default_rng(1).normal(0, 1, (6, features))
    return 2 + rng.normal(0, 1, (count, 6)) @ plane + rng.normal(0, 0.1, (count, features))


@pytest.fixture(scope="module")
def embeddings():
    """Chests, decoys and validation."""
    rng = np.random.default_rng(2)
    return chests_of(rng, 200), rng.normal(0, 1, (150, FEATURES)), chests_of(rng, 199)


@pytest.fixture(scope="module")
def gates(embeddings):
    return fit_gates(*embeddings, seed=1)


def columns(gates, embeddings):
    chest, known = np.array(gates.values(embeddings)).T
    return chest, known


def test_other_chests_pass_both_gates_and_other_pictures_neither(gates, noise):
    chest, known = columns(gates, chests_of(noise, 500))
    assert (chest >= CHEST_RADIOGRAPH_FROM).mean() > 0.98
    assert (known >= IN_DISTRIBUTION_FROM).mean() > 0.96
    chest, known = columns(gates, noise.normal(0, 1, (500, FEATURES)))
    assert (chest < CHEST_RADIOGRAPH_FROM).mean() > 0.98
    assert (known < IN_DISTRIBUTION_FROM).mean() > 0.98


def test_chest_radiograph_is_scikit_learns_probability_with_ten_chests_to_one_other(gates, embeddings, noise):
    chests, decoys, _ = embeddings
    pictures = np.concatenate([chests, decoys])
    scaler = StandardScaler().fit(pictures)
    peer = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-8, max_iter=5000)
    peer.fit(scaler.transform(pictures), np.repeat([1, 0], [len(chests), len(decoys)]))
    between = (chests_of(noise, 300) + noise.normal(0, 1, (300, FEATURES))) / 2
    odds = 10 * np.exp(peer.decision_function(scaler.transform(between)))
    # The weights are kept as float16.
    assert columns(gates, between)[0] == pytest.approx(odds / (1 + odds), abs=0.005)


def test_in_distribution_is_the_share_of_validation_that_is_at_least_as_far(gates, embeddings):
    _, known = columns(gates, embeddings[2])
    # The nearest of 199 has all of them at least as far, the farthest itself of 200 with one more.
    assert np.sort(known) == pytest.approx(np.linspace(1 / 200, 1, 199), abs=0.002)


def test_chests_within_the_plane_but_far_along_it_are_not_known(gates, embeddings):
    chests = embeddings[0]
    far = chests.mean(axis=0) + 6 * (chests - chests.mean(axis=0))
    _, known = columns(gates, far)
    assert (known < IN_DISTRIBUTION_FROM).mean() > 0.9


def test_chests_off_the_plane_are_not_known(gates, embeddings, noise):
    _, known = columns(gates, embeddings[0] + noise.normal(0, 1, embeddings[0].shape))
    assert (known < IN_DISTRIBUTION_FROM).all()


def test_beyond_the_farthest_it_falls_to_nothing_even_with_few_validation_chests(embeddings):
    chests, decoys, validation = embeddings
    gates = fit_gates(chests, decoys, validation[:10], seed=1)
    steps = chests[0] + np.linspace(0, 100, 50)[:, None] * (decoys[0] - chests[0])
    _, known = columns(gates, steps)
    assert (np.diff(known) <= 0).all()
    assert known[-1] < 1e-6


@pytest.mark.parametrize("size", [0, 1, 1e3, 1e300])
def test_values_are_shares_for_any_finite_embedding(gates, noise, size):
    values = np.array(gates.values(noise.normal(0, 1, (20, FEATURES)) * size))
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1


def test_the_same_embeddings_give_the_same_gates(gates, embeddings):
    again = fit_gates(*embeddings, seed=1)
    assert again.values(embeddings[1]) == gates.values(embeddings[1])


def test_features_that_never_change_do_no_harm(embeddings, noise):
    dead = [np.pad(part, ((0, 0), (0, 3))) for part in embeddings]
    gates = fit_gates(*dead, seed=1)
    chest, known = columns(gates, np.pad(chests_of(noise, 300), ((0, 0), (0, 3))))
    assert (chest >= CHEST_RADIOGRAPH_FROM).mean() > 0.98
    assert (known >= IN_DISTRIBUTION_FROM).mean() > 0.96


def test_two_chests_and_one_decoy_are_enough(noise):
    gates = fit_gates(chests_of(noise, 2), np.zeros((1, FEATURES)), chests_of(noise, 2), seed=1)
    assert np.isfinite(gates.values(chests_of(noise, 5))).all()


@pytest.mark.parametrize(
    "shapes", [((1, 4), (2, 4), (2, 4)), ((2, 4), (0, 4), (2, 4)), ((2, 4), (2, 4), (1, 4)), ((2, 4), (2, 3), (2, 4))]
)
def test_too_few_or_other_embeddings_are_refused(shapes):
    with pytest.raises(ValueError, match="at least 2 chests, 1 decoy and 2 validation chests"):
        fit_gates(*(np.zeros(shape) for shape in shapes), seed=1)


def test_embeddings_that_are_not_finite_are_refused(embeddings):
    chests, decoys, validation = embeddings
    with pytest.raises(ValueError, match="finite"):
        fit_gates(chests, decoys * np.nan, validation, seed=1)


def test_they_come_back_from_their_file_as_they_were(gates, embeddings, tmp_path):
    gates.save(tmp_path / "gates.npz")
    assert load_gates(tmp_path / "gates.npz").values(embeddings[2]) == gates.values(embeddings[2])


def test_for_1280_features_they_take_at_most_200_kb(noise, tmp_path):
    parts = chests_of(noise, 300, 1280), noise.normal(0, 1, (200, 1280)), chests_of(noise, 100, 1280)
    fit_gates(*parts, seed=1).save(tmp_path / "gates.npz")
    assert (tmp_path / "gates.npz").stat().st_size <= 200_000


def test_gates_that_are_open_to_all_are_open_to_all(noise, tmp_path):
    Gates.open_to_all(7).save(tmp_path / "gates.npz")
    for gates in (Gates.open_to_all(7), load_gates(tmp_path / "gates.npz")):
        assert gates.values(noise.normal(0, 1e300, (3, 7))) == [(1.0, 1.0)] * 3


def test_embeddings_of_another_network_are_refused(gates):
    with pytest.raises(ValueError, match=r"\(n, 90\).*\(5, 91\)"):
        gates.values(np.zeros((5, 91)))


@pytest.fixture
def stored(gates, tmp_path):
    path = tmp_path / "gates.npz"
    gates.save(path)
    return path


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 no archive"])
def test_a_missing_or_foreign_file_is_no_gates(tmp_path, content):
    path = tmp_path / "gates.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleFormatError, match=r"gates\.npz is no bundle .* readable gates"):
        load_gates(path)


def test_a_cut_or_damaged_file_is_no_gates(stored, noise):
    whole = stored.read_bytes()
    for length in range(0, len(whole), 997):
        stored.write_bytes(whole[:length])
        with pytest.raises(BundleFormatError):
            load_gates(stored)
    # Into the first array's compressed bytes, whose checksum the archive holds.
    stored.write_bytes(whole[:120] + bytes(40) + whole[160:])
    with pytest.raises(BundleFormatError):
        load_gates(stored)


def test_a_pickle_is_not_opened(stored):
    np.savez(stored, mean=np.array([{}], dtype=object))
    with pytest.raises(BundleFormatError):
        load_gates(stored)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mean", lambda array: array[1:]),
        ("components", lambda array: array.T),
        ("weights", lambda array: array.astype(int)),
        ("scale", lambda array: array * np.nan),
        ("scale", lambda array: array * 0),
        ("tail", lambda array: -array),
        ("distances", lambda array: array[::-1]),
        ("bias", lambda array: array[None]),
        ("deviations", None),
    ],
)
def test_other_arrays_are_no_gates(stored, name, change):
    with np.load(stored) as archive:
        arrays = dict(archive)
    old = arrays.pop(name)
    if change:
        arrays[name] = change(old)
    np.savez(stored, **arrays)
    with pytest.raises(BundleFormatError):
        load_gates(stored)


def test_the_file_is_the_same_each_time(gates, stored):
    first = stored.read_bytes()
    gates.save(stored)
    assert stored.read_bytes() == first
    with zipfile.ZipFile(stored) as archive:
        assert len(archive.namelist()) == 9


@pytest.mark.parametrize(
    ("age_group", "age_years", "verdict"),
    [
        ("any", None, "answers"),
        ("any", 3, "answers"),
        ("child", 17.9, "answers"),
        ("child", 18, "refuses"),
        ("child", 0, "answers"),
        ("child", None, "warns"),
        ("adult", 18, "answers"),
        ("adult", 17.9, "refuses"),
        ("adult", 0, "refuses"),
        ("adult", None, "warns"),
    ],
)
def test_a_model_answers_only_for_its_age_group(age_group, age_years, verdict):
    assert age_verdict(age_group, age_years) == verdict
