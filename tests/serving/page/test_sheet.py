import re

import pytest

from models.radiograph import RadiographTags
from serving.page.picture import Facts
from serving.page.place import place
from serving.page.rendering import rendered
from serving.page.sheet import CONFOUNDED, sheet
from serving.schemas import FindingAnswer, HeatMap

UNKNOWN = Facts()
ATTACK = "<img src=x onerror=alert(1)>&\"'"


def hottest_at(row, column, rows=7, columns=7):
    values = [[0.1] * columns for _ in range(rows)]
    values[row][column] = 2.0
    return HeatMap(finding="Effusion", values=values)


def finding(name, probability, present=False, uncertain=False, confounded=False, below=0.12):
    return FindingAnswer(finding=name, score=0.83, probability=probability, operating_point=0.44, absent_below=below,
                         present=present, uncertain=uncertain, confounded=confounded)  # fmt: skip


@pytest.mark.parametrize(
    ("row", "column", "view", "words"),
    [
        (0, 0, "PA", "right upper zone"),
        (3, 6, "AP", "left middle zone"),
        (6, 1, None, "right lower zone"),
        (6, 3, "PA", "midline, lower zone"),
        (6, 0, "LL", "lower zone, left half of the image"),
        (0, 6, "RL", "upper zone, right half of the image"),
    ],
)
def test_the_place_is_told_in_the_patients_sides(row, column, view, words):
    assert place(hottest_at(row, column), view) == words


def test_a_map_without_heat_has_no_place():
    assert place(HeatMap(finding="Effusion", values=[[0.0, 0.0], [0.0, 0.0]]), "PA") == "no place stands out"


def test_a_map_of_one_cell_lies_in_the_middle():
    assert place(hottest_at(0, 0, 1, 1), "PA") == "midline, middle zone"


def test_findings_stand_in_groups_the_most_probable_first(answer):
    findings = [
        finding("Mass", 0.31, uncertain=True),
        finding("Hernia", 0.02),
        finding("Edema", 0.05),
        finding("Effusion", 0.61, present=True),
        finding("Pneumonia", 0.7, present=True, uncertain=True),
    ]
    shown = sheet(answer.model_copy(update={"findings": findings}), UNKNOWN)
    names = {state: [line.answer.finding for line in lines] for state, lines in shown.groups.items()}
    assert names == {"present": ["Effusion"], "uncertain": ["Pneumonia", "Mass"], "absent": ["Edema", "Hernia"]}
    assert shown.top == "Effusion 61%"


def test_what_is_on_top_says_its_doubt_or_that_nothing_is_there(answer):
    def top(*findings):
        return sheet(answer.model_copy(update={"findings": list(findings)}), UNKNOWN).top

    assert top(finding("Mass", 0.31, uncertain=True), finding("Hernia", 0.9)) == "Mass? 31%"
    assert top(finding("Hernia", 0.1)) == "nothing present"
    assert top() == "no findings shown"


def test_checks_come_first_in_words(answer):
    gates = answer.gates.model_copy(update={"chest_radiograph": 0.987, "in_distribution": 0.004})
    decision = answer.decision.model_copy(update={"abstain": True, "reasons": ["It is unlike."]})
    checks = sheet(answer.model_copy(update={"gates": gates, "decision": decision}), UNKNOWN).checks
    assert [(check.passed, check.words) for check in checks] == [
        (True, "Frontal chest radiograph (0.99)"),
        (False, "Unlike its training radiographs (0.004)"),
        (False, "Age unknown"),
        (False, "The model holds back."),
        (False, "It is unlike."),
    ]


def test_everything_that_is_filled_in_is_escaped(answer):
    hostile = answer.model_copy(
        update={
            "findings": [finding(ATTACK, 0.5, confounded=True)],
            "decision": answer.decision.model_copy(update={"reasons": [ATTACK]}),
            "model": answer.model.model_copy(update={"name": ATTACK}),
            "provenance": answer.provenance.model_copy(update={"sources": [ATTACK]}),
        }
    )
    html = (
        rendered("findings.html", sheet=sheet(hostile, UNKNOWN), confounded=CONFOUNDED)
        + rendered("why.html", answer=hostile)
        + rendered("card.html", card=f"# Card\n\n{ATTACK}\n\n[here](javascript:alert(1)) ![x](http://elsewhere/x.png)")
    )
    assert re.findall(r"<(?:img|script)|on\w+=\"", html) == []
    assert 'href="javascript' not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") >= 5


@pytest.mark.parametrize(
    ("below", "band", "words"),
    [
        (0.12, "left: 12.0%; width: 32.0%", "absent below 0.12; within the band neither"),
        (0.0, "left: 0.0%; width: 44.0%", "never absent; within the band neither"),
        (0.44, "left: 44.0%; width: 0.0%", "absent below 0.44."),
    ],
)
def test_a_band_shows_where_a_finding_is_neither(answer, below, band, words):
    one = finding("Mass", 0.3, below=below)
    shown = sheet(answer.model_copy(update={"findings": [one]}), UNKNOWN)
    html = rendered("findings.html", sheet=shown, confounded=CONFOUNDED)
    assert f'class="band" style="{band}"' in html
    assert f"called present from 0.44 on (tick), {words}" in html


def test_one_of_several_classes_has_no_band(answer):
    one = finding("Viral Pneumonia", 0.3, uncertain=True, below=None)
    html = rendered("findings.html", sheet=sheet(answer.model_copy(update={"findings": [one]}), UNKNOWN), confounded="")
    assert 'class="band"' not in html
    assert "called present from 0.44 on (tick). It cannot be ruled out" in html


@pytest.mark.parametrize(("probability", "ticks"), [(0.25, ["left: 25.0%", "left: 44.0%"]), (None, ["left: 44.0%"])])
def test_a_tick_on_the_bar_shows_the_operating_point_where_one_can_be_told(answer, probability, ticks):
    one = finding("Mass", 0.3).model_copy(update={"operating_probability": probability})
    shown = sheet(answer.model_copy(update={"findings": [one]}), UNKNOWN)
    html = rendered("findings.html", sheet=shown, confounded=CONFOUNDED)
    assert re.findall(r'class="tick" style="(.*?)"', html) == ticks


def test_a_card_is_shown_as_markdown():
    html = rendered("card.html", card="## Limits\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "<h2>Limits</h2>" in html
    assert "<td>2</td>" in html


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (RadiographTags("PA", 34.0, "F"), "PA view, adult, female"),
        (RadiographTags("LL", 4.0, "M"), "left lateral view, child, male"),
        (RadiographTags(), "view unknown, age unknown, sex unknown"),
        (RadiographTags("DOE^JANE", None, "O", manufacturer="DOE"), "view unknown, age unknown, other sex"),
    ],
)
def test_no_words_of_the_file_are_shown_but_terms_of_fixed_lists(tags, words):
    facts = Facts.of(tags)
    assert facts.words == words
    assert "DOE" not in facts.model_dump_json()
