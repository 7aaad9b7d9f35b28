"""A source's card says whom its images show, or nothing that it does not know."""

import pytest
import yaml

from models.errors import SettingsError
from pipelines.sources.card import load_card, load_cards
from tests.pipelines.conftest import ROOT

CARDS = ROOT / "data/sources"


def test_only_a_publisher_who_says_so_has_an_age_group():
    groups = {path.stem: load_card(path).age_group for path in CARDS.glob("*.yaml")}
    assert groups.pop("kermany") == "child"
    assert set(groups.values()) == {"any"}


def test_an_age_group_that_nobody_knows_is_refused(tmp_path):
    card = yaml.safe_load((CARDS / "kermany.yaml").read_text(encoding="utf-8")) | {"age_group": "infant"}
    (tmp_path / "kermany.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"age_group: .*'child', 'adult' or 'any'"):
        load_card(tmp_path / "kermany.yaml")


def test_cards_are_loaded_by_name_in_the_order_asked_for():
    assert list(load_cards(CARDS, ["shenzhen", "kermany"])) == ["shenzhen", "kermany"]
    with pytest.raises(SettingsError, match="unheard_of"):
        load_cards(CARDS, ["kermany", "unheard_of"])


@pytest.mark.parametrize(
    ("source", "shareable"),
    [("kermany", True), ("nih_chestxray14", True), ("shenzhen", True), ("covid_chestxray", False), ("jsrt", False)],
)
def test_weights_may_be_shared_only_where_the_card_says_so(source, shareable):
    assert load_card(CARDS / f"{source}.yaml").weights.shareable is shareable
