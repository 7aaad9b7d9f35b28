"""The page: what it says, and that it asks no host for anything."""

import numpy as np
import pytest

from models.findings import TaskKind
from pipelines.evaluate.curves import reliability_table, roc_table
from pipelines.evaluate.decisions import conformal_figures, gate_figures
from pipelines.evaluate.figures import split_figures
from pipelines.evaluate.probes import is_confounded
from pipelines.evaluate.report import write_report
from tests.pipelines.audit.test_report import Page
from tests.pipelines.bundles import stub_bundle
from tests.pipelines.evaluate.tables import SETTINGS, THREE, head, manifest, predicted

PNG = "iVBORw0KGgo="
HITS = {"value": 0.8, "low": 0.7, "high": 0.9}
LESIONS = {"lesions": 40, "hit_rate": HITS, "iou": HITS, "chance": 0.12}


def drawn(noise, model, count=120):
    """Labels and scores that agree to some degree; Hernia is nowhere present."""
    labels = {name: noise.integers(0, 2, count) * (name != "Hernia") for name in model.findings}
    if model.heads[0].kind is TaskKind.MULTICLASS:
        truth = noise.integers(0, 3, count)
        labels = {name: truth == at for at, name in enumerate(model.findings)}
    scores = {name: 0.2 * values + noise.uniform(0, 0.8, count) for name, values in labels.items()}
    return predicted(model, labels, scores, sex=np.resize(["F", "M"], count))


def probe(trivial, model):
    found = {"model": model, "trivial": trivial, "source": {"value": 0.5, "low": 0.5, "high": 0.5}}
    return found | {"confounded": is_confounded(found), "feature": "sharpness"}


@pytest.fixture
def page(tmp_path, noise):
    """The page of a model, with other figures where a test wants them."""

    def write(model, rows=None, examples=(), **changes):
        rows = drawn(noise, model) if rows is None else rows
        figures = {split: split_figures(SETTINGS, model, of) for split, of in rows.groupby("split")}
        if "test" in figures:
            test = figures["test"]["overall"]["findings"]
            of_probe = {"value": 0.9, "low": 0.8, "high": 0.95}
            figures["probes"] = {name: probe(of_probe, test[name]["auroc"]) for name in model.findings}
            figures |= {"gates": gate_figures(SETTINGS, rows), "conformal": conformal_figures(SETTINGS, model, rows)}
        figures |= {"heat_maps": {}, "sanity": {}} | changes
        test_rows = rows[rows["split"] == "test"]
        curves = {"roc": roc_table(model, test_rows), "reliability": reliability_table(model, test_rows)}
        write_report(tmp_path / "report.html", stub_bundle(model, None), figures, curves, examples)
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return write


@pytest.fixture
def several(page):
    """Of three findings, of which one is nowhere present, with lesions and examples."""
    heat_maps = {"overall": LESIONS, "findings": {"Mass": LESIONS}}
    examples = [{"title": "Mass: hit, overlap 0.50", "png": PNG}]
    sanity = {"correlation": 0.1, "passes": True}
    return page(manifest(head("Mass", "Nodule", "Hernia")), examples=examples, heat_maps=heat_maps, sanity=sanity)


def test_the_page_is_one_file_that_loads_nothing(several):
    assert {"script", "link", "iframe", "object"}.isdisjoint(several.tags)
    assert "://" not in several.text
    assert several.pictures == [f"data:image/png;base64,{PNG}"]
    assert "default-src 'none'" in several.text


def test_the_notice_stands_on_top_and_at_the_end(several):
    assert several.text.count("Research use. Not for diagnosis.") == 2
    assert "trained on drawings" not in several.text


def test_what_leads_somewhere_on_the_page_arrives(several):
    assert {link.removeprefix("#") for link, _ in several.links} <= several.ids


def test_findings_are_told_with_their_figures_the_best_first(several):
    rows = several.table("Findings")
    assert {row["Finding"] for row in rows[:2]} == {"Mass", "Nodule"}
    assert rows[0]["AUROC [95 %]"] > rows[1]["AUROC [95 %]"]
    assert rows[2]["Finding"] == "Hernia"
    assert rows[2]["AUROC [95 %]"] == rows[2]["Sensitivity"] == "–"
    assert rows[2]["Positives of known"] == "0 of 120"
    assert rows[2]["Remarks"] == "no positives"


def test_confounded_findings_are_said_in_words(several):
    assert [row["Remarks"] for row in several.table("Findings")[:2]] == ["confounded"] * 2
    verdicts = {row["Finding"]: row["Verdict"] for row in several.table("AUROC of model and probes")}
    assert verdicts == {"Mass": "confounded", "Nodule": "confounded", "Hernia": ""}
    assert ("#probes", "2 of 3 findings confounded") in several.links


def test_groups_have_a_row_each_those_surely_worse_first(page, noise):
    model = manifest(head("Mass"))
    labels = noise.integers(0, 2, 200)
    sex = np.resize(["F", "F", "M", "M"], 200)
    rows = predicted(model, {"Mass": labels}, {"Mass": np.where(sex == "F", labels, 1 - labels)}, sex=sex)
    worst = page(model, rows).table("Worst groups")
    assert [row["Group"] for row in worst] == ["Sex: M", "Source: one", "Sex: F"]
    assert [row["Remarks"] for row in worst] == ["below the whole", "", ""]


def test_groups_with_few_of_a_label_are_left_out(page):
    labels = [1] * 9 + [0] * 100
    model = manifest(head("Mass"))
    assert "No group is large enough." in page(model, predicted(model, {"Mass": labels}, {"Mass": labels})).text


def test_classes_have_their_confusion_and_their_figures(page):
    three = page(manifest(THREE))
    rows = three.table("Confusion")
    assert [row[""] for row in rows] == list(THREE.findings)
    assert sum(int(cell.split()[0]) for row in rows for name, cell in row.items() if name) == 120
    assert "Normal against the rest" in three.text
    section, said = three.links[0]
    assert (section, said.split()[1]) == ("#classes", "accuracy")


def test_heat_maps_stand_beside_chance_with_their_examples(several):
    assert several.table("Heat maps")[0] == {
        "Finding": "All",
        "Lesions": "40",
        "Hits [95 %]": "0.800 [0.700, 0.900]",
        "By chance": "0.120",
        "Overlap (IoU) [95 %]": "0.800 [0.700, 0.900]",
    }
    assert "<figcaption>Mass: hit, overlap 0.50</figcaption>" in several.text


def test_without_known_lesions_the_page_says_so_and_a_failed_sanity_test_leads(page):
    found = page(manifest(head("Mass")), sanity={"correlation": 0.9, "passes": False})
    assert "No image that was measured has a known lesion." in found.text
    assert ("#heat-maps", "fails the heat maps' sanity test") in found.links


def test_missed_findings_beyond_the_stated_risk_are_remarked_on(page):
    model = manifest(head("Mass"), absent_below=0.45)
    labels = np.arange(100) % 2
    row = page(model, predicted(model, {"Mass": labels}, {"Mass": [0.1] * 100})).table("Answers by finding")[0]
    assert (row["Called absent [95 %]"], row["Remarks"]) == ("1.000 [1.000, 1.000]", "more than stated")


def test_a_model_trained_on_drawings_says_so(page):
    model = manifest(head("Mass"))
    model = model.model_copy(update={"training": model.training.model_copy(update={"drawn": True})})
    assert "its scores on a real radiograph mean nothing" in page(model).text


def test_without_a_test_split_the_page_tells_of_validation(page, noise):
    model = manifest(head("Mass"))
    found = page(model, drawn(noise, model).assign(split="validation"))
    assert "Of the validation split." in found.text
    assert {"probes", "decisions", "curves"}.isdisjoint(found.ids)
    assert len(found.table("Findings")) == 1


def test_markup_in_a_name_stays_text(page, noise):
    model = manifest(head("Mass"))
    assert "i" not in page(model, drawn(noise, model).assign(source="<i>one</i>")).tags
