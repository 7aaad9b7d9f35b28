"""An answer as a reader wants it: what to know before reading, then findings by group; for screen and paper alike."""

from collections.abc import Iterator
from dataclasses import dataclass

from models.gates import IN_DISTRIBUTION_FROM
from serving.page.picture import Facts
from serving.page.place import place
from serving.schemas import FindingAnswer, PredictionResponse

CONFOUNDED = "Confounded: how or where an image was made tells nearly as much about this finding as the model does."
_STATES = ("present", "uncertain", "absent")
_AGES = {"child": "Child, under 18 years", "adult": "Adult, 18 years or older"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to know before reading; `passed` is false where it asks for care."""

    passed: bool
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """A finding as it stands on the sheet.

    Attributes:
        answer: what the platform says about it.
        place: where its heat map is hottest, in words; None where there is no map.
    """

    answer: FindingAnswer
    place: str | None

    @property
    def state(self) -> str:
        """Which of the groups it stands in: what is uncertain is neither present nor absent."""
        if self.answer.uncertain:
            return "uncertain"
        return "present" if self.answer.present else "absent"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a reader is told about one radiograph.

    Attributes:
        answer: of the platform.
        checks: in the order to read them.
        lines: one a finding, the most probable first.
    """

    answer: PredictionResponse
    checks: tuple[Check, ...]
    lines: tuple[Line, ...]

    @property
    def groups(self) -> dict[str, list[Line]]:
        """The lines by their state, in the order to read them; a state without findings has an empty list."""
        return {state: [line for line in self.lines if line.state == state] for state in _STATES}

    @property
    def top(self) -> str:
        """The finding to name where there is room for one only."""
        for line in self.groups["present"] + self.groups["uncertain"]:
            doubt = "?" if line.answer.uncertain else ""
            return f"{line.answer.finding}{doubt} {line.answer.probability:.0%}"
        return "nothing present" if self.lines else "no findings shown"


def sheet(answer: PredictionResponse, facts: Facts) -> Sheet:
    """The sheet of an answer about a radiograph of which these facts are known."""
    maps = answer.explanation.maps if answer.explanation else []
    places = {found.finding: place(found, facts.view_position) for found in maps}
    lines = [Line(one, places.get(one.finding)) for one in answer.findings]
    lines.sort(key=lambda line: -line.answer.probability)
    return Sheet(answer, tuple(_checks(answer)), tuple(lines))


def _checks(answer: PredictionResponse) -> Iterator[Check]:
    gates = answer.gates
    yield Check(True, f"Frontal chest radiograph ({gates.chest_radiograph:.2f})")
    like = gates.in_distribution >= IN_DISTRIBUTION_FROM
    yield Check(like, f"{'Like' if like else 'Unlike'} its training radiographs ({gates.in_distribution:.2g})")
    yield Check(gates.age_group in _AGES, _AGES.get(gates.age_group, "Age unknown"))
    if answer.decision.abstain:
        yield Check(False, f"The model holds back.{'' if answer.findings else ' No findings are shown.'}")
    for reason in answer.decision.reasons:
        yield Check(False, reason)
