"""A history of which an entry was changed, removed, added or put elsewhere is not believed."""

from datetime import UTC, datetime, timedelta

import pytest

from models.errors import HistoryError
from models.registry.history import BEGINNING, Action, Entry, Stored, aliases_of, read_history, version_at

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(before, **changes):
    """The entry after `before`, a day later."""
    sequence = before.sequence + 1 if before else 1
    fields = {
        "sequence": sequence,
        "at": BEGIN + timedelta(days=sequence - 1),
        "by": "ann",
        "action": Action.PROMOTE,
        "version": str(sequence),
        "digest": f"sha256:{sequence:064d}",
        "aliases": {"production": str(sequence)},
        "previous": before.fingerprint() if before else BEGINNING,
    }
    return Entry(**(fields | changes))


def signed(text):
    return f"signed {len(text)} {text[-12:]}"


def stored(*entries):
    texts = [one.text() for one in entries]
    return [Stored(number, text, signed(text)) for number, text in enumerate(texts, start=1)]


def read(entries):
    return read_history("pneumonia", entries, lambda text, signature: signature == signed(text))


@pytest.fixture
def three():
    first = entry(None)
    second = entry(first)
    return [first, second, entry(second)]


def test_what_was_written_is_read(three):
    assert read(stored(*three)) == three
    assert read([]) == []


def test_of_two_that_follow_the_same_entry_the_first_counts(three):
    first, second, third = three
    late = entry(first, by="bob", version="9", aliases={"production": "9"})
    assert read(stored(first, second, late, third)) == three


def test_a_chain_goes_on_after_a_lost_race(three):
    first, second, _ = three
    late = entry(first, by="bob", version="9", aliases={"production": "9"})
    again = entry(second, by="bob", version="9", aliases={"production": "9"})
    assert read(stored(first, second, late, again)) == [first, second, again]


@pytest.mark.parametrize("gone", [0, 1])
def test_a_removed_entry_is_found(three, gone):
    left = stored(*three)
    del left[gone]
    with pytest.raises(HistoryError, match=f"entry {gone + 1} of those that arrived is missing"):
        read(left)


def test_an_entry_removed_without_a_gap_is_found(three):
    first, _, third = three
    with pytest.raises(HistoryError, match="entry 2 does not follow any entry"):
        read(stored(first, third))


def test_a_changed_entry_is_found(three):
    lies = stored(*three)
    lies[1] = Stored(2, lies[1].text.replace('"version":"2"', '"version":"12"'), lies[1].signature)
    with pytest.raises(HistoryError, match="entry 2 is not as a trusted key signed it"):
        read(lies)


def test_a_changed_entry_that_was_signed_again_breaks_the_chain(three):
    first, second, third = three
    with pytest.raises(HistoryError, match="entry 3 does not follow any entry"):
        read(stored(first, second.model_copy(update={"by": "bob"}), third))


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"sequence": 1}'])
def test_what_is_no_entry_is_found(text):
    with pytest.raises(HistoryError, match="entry 1 cannot be read"):
        read([Stored(1, text, signed(text))])


def test_aliases_are_those_of_the_last_entry(three):
    assert aliases_of(three) == {"production": "3"}
    assert aliases_of([]) == {}


@pytest.mark.parametrize(
    ("when", "version"),
    [
        (BEGIN - timedelta(seconds=1), None),
        (BEGIN, "1"),
        (BEGIN + timedelta(hours=23), "1"),
        (BEGIN + timedelta(days=1), "2"),
        (BEGIN + timedelta(days=400), "3"),
    ],
)
def test_what_was_in_production_at_a_time(three, when, version):
    assert version_at(three, "production", when) == version
    assert version_at(three, "shadow", when) is None
