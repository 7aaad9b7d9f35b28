"""A shadow or a canary is a trial: it begins with an entry, may take more, and ends by promotion or withdrawal."""

import json

import pytest

from models.errors import ModelNotFoundError, RegistryError
from models.registry import CANARY, PRODUCTION, SHADOW, Action, Trial, describe
from models.registry.history import Entry

NAME = "pneumonia"


def test_a_canary_has_a_percentage_which_its_entry_names(own, versions):
    own.promote(versions[1], "bob", "a first look", to=CANARY, percent=5)
    *_, entry = own.history(NAME)
    assert own.trial(NAME) == Trial("2", 5, entry.sequence)
    assert describe(entry).endswith("promote version 2 by bob, a canary for 5 %: a first look")
    assert own.resolve(NAME, PRODUCTION).version == "1"


def test_more_for_the_same_canary_is_an_entry_of_its_own(own, versions):
    for percent in (5, 25):
        own.promote(versions[1], "bob", to=CANARY, percent=percent)
    assert own.trial(NAME) == Trial("2", 25, len(own.history(NAME)))
    assert [entry.percent for entry in own.history(NAME)] == [None] * 4 + [5, 25]


@pytest.mark.parametrize(
    ("to", "percent"), [(CANARY, None), (CANARY, 0), (CANARY, 100), (PRODUCTION, 10), (SHADOW, 10)]
)
def test_a_percentage_is_for_canaries_only_and_within_bounds(own, versions, to, percent):
    before = own.history(NAME)
    with pytest.raises(RegistryError, match=f"Expected 1 to 99 percent for a canary only, but received {percent}"):
        own.promote(versions[1], "bob", to=to, percent=percent)
    assert own.history(NAME) == before


@pytest.mark.parametrize("alias", [SHADOW, CANARY])
def test_a_withdrawn_trial_is_over_and_the_history_says_why(own, versions, alias):
    own.promote(versions[1], "bob", to=alias, percent=10 if alias == CANARY else None)
    assert own.withdraw(NAME, alias, "cem", "too slow").version == "2"
    *_, entry = own.history(NAME)
    assert (entry.action, entry.version, entry.by, entry.reason) == (Action.WITHDRAW, "2", "cem", "too slow")
    assert entry.aliases == {"candidate": "3", "production": "1"}
    assert own.trial(NAME) is None
    assert own.verify(NAME) == []
    with pytest.raises(ModelNotFoundError, match=f"{NAME}@{alias}"):
        own.withdraw(NAME, alias, "cem")


@pytest.mark.parametrize("alias", [PRODUCTION, "previous", "candidate", "nonsense"])
def test_nothing_else_can_be_withdrawn(own, versions, alias):
    with pytest.raises(RegistryError, match=f"Expected one of the aliases shadow, canary, but received '{alias}'"):
        own.withdraw(NAME, alias, "cem")


def test_what_gets_into_production_is_no_trial_any_more(own, versions):
    own.promote(versions[1], "bob", to=SHADOW)
    own.promote(versions[1], "bob", to=CANARY, percent=10)
    promoted = own.promote(versions[1], "bob", "it held")
    assert promoted.aliases == (PRODUCTION,)
    assert own.trial(NAME) is None
    assert own.verify(NAME) == []


def test_another_versions_trial_outlives_a_promotion(own, versions):
    own.promote(versions[1], "bob", to=CANARY, percent=10)
    own.promote(versions[2], "bob")
    assert own.trial(NAME).version == "2"


def test_entries_from_before_there_were_percentages_keep_their_hash():
    text = (
        '{"action":"promote","aliases":{"production":"1"},"at":"2026-11-01T10:00:00Z","by":"ann","digest":"sha256:0",'
        '"failed_gates":[],"previous":"0","reason":"","sequence":1,"version":"1"}'
    )
    entry = Entry.model_validate_json(text)
    assert entry.text() == text
    assert json.loads(text).keys() == Entry.model_fields.keys() - {"percent"}
