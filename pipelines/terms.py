"""What a model inherits from the sources that trained it: whom their images show, and what may be done with weights."""

from collections.abc import Mapping

from models.bundle import Terms
from models.gates import AgeGroup
from pipelines.sources.card import Card


def age_group_of(cards: Mapping[str, Card]) -> AgeGroup:
    """The age group that all sources share; "any" where they differ or one does not say."""
    groups = {card.age_group for card in cards.values()}
    return groups.pop() if len(groups) == 1 else "any"


def terms_of(cards: Mapping[str, Card]) -> Terms:
    """The terms of weights that these sources trained; they may be shared only if every source allows it."""
    return Terms(
        shareable=all(card.weights.shareable for card in cards.values()),
        by_source={source: card.weights.terms for source, card in cards.items()},
    )
