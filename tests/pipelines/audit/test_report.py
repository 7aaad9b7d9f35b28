import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from models.findings import FINDINGS
from pipelines.audit.evidence import Evidence
from pipelines.audit.labels import prevalence
from pipelines.audit.overlaps import APART, COLUMNS, SAME
from pipelines.audit.report import write_report
from pipelines.audit.tables import Tables
from pipelines.catalog import SCHEMA
from pipelines.facts import THUMBNAIL_PX

LEFT_OUT = ("image", "scope", "code", "reason", "source")
PROBES = ("scope", "target", "images", "trivial", "embedding", "feature", "feature_auroc", "warning")
LEAKS = ("source", "image", "split_official", "test_image", "shared", "group")
CONFLICTS = ("source_a", "image_a", "source_b", "image_b", "finding", "label_of_a")
SUSPICIOUS = ("source", "image", "finding", "label", "chance")
ODD = ("source", "image", "kind", "value")


@dataclass
class Page(HTMLParser):
    """What a reader sees, and what a browser would load."""

    text: str
    tags: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.caption = ""
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.ids |= {attributes["id"]} if "id" in attributes else set()
        if tag == "a":
            self.links.append((attributes["href"], ""))
        if tag == "img":
            self.pictures.append(attributes["src"])
        if tag == "tr":
            self.tables[self.caption].append([])
        if tag in {"th", "td"}:
            self.tables[self.caption][-1].append("")
        if tag in {"caption", "th", "td", "a"}:
            self.words = []

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def handle_endtag(self, tag: str) -> None:
        said = " ".join(word for word in self.words if word)
        if tag == "caption":
            self.caption = said
            self.tables[said] = []
        if tag in {"th", "td"}:
            self.tables[self.caption][-1][-1] = said
        if tag == "a":
            self.links[-1] = (self.links[-1][0], said)

    def table(self, beginning: str) -> list[dict[str, str]]:
        """The rows of the table whose caption begins so, by its heads."""
        (rows,) = (rows for caption, rows in self.tables.items() if caption.startswith(beginning))
        return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def _image(number: int, source: str, **known: Any) -> dict[str, Any]:
    row = dict.fromkeys(SCHEMA.names) | {"source": source, "drawn": False, "width": 96, "height": 96, "uncertain": []}
    row |= {"image": f"{number}.png", "patient_id": f"{number:032x}", "sha256": f"{number * 7919:06x}".ljust(64, "e")}
    return row | known


def _evidence(rows: Sequence[dict[str, Any]], left_out: Sequence[tuple[str, ...]] = ()) -> Evidence:
    images = pd.DataFrame(rows, columns=SCHEMA.names).astype(dict.fromkeys([*FINDINGS, "age_years"], float))
    seeds = images["sha256"].str[:6].map(lambda digits: int(digits, 16))
    shape = (THUMBNAIL_PX, THUMBNAIL_PX)
    thumbnails = np.stack([np.random.default_rng(seed).integers(0, 256, shape, np.uint8) for seed in seeds])
    listed = pd.DataFrame(left_out, columns=list(LEFT_OUT))
    return Evidence(images, listed, thumbnails, np.zeros((len(images), 1), np.float32))


def _tables(images: pd.DataFrame, **found: Sequence[tuple[Any, ...]]) -> Tables:
    columns = {"leaks": LEAKS, "conflicts": CONFLICTS, "probes": PROBES, "suspicious": SUSPICIOUS, "odd": ODD}
    columns |= {"overlaps": COLUMNS, "two_ids": ("source", "image_a", "image_b", "kind")}
    groups = images[["source", "image"]].assign(group=images["patient_id"], home=images["source"], excluded=None)
    frames = {name: pd.DataFrame(found.get(name, []), columns=list(heads)) for name, heads in columns.items()}
    return Tables(groups=groups, prevalence=prevalence(images), **frames)


def _ledger_row(one: str, other: str, correlation: float, decision: str, source: str = "near") -> tuple[Any, ...]:
    return ("near", one, source, other, "picture", 8, 0.9, correlation, False, False, decision)


def _page(folder: Path, evidence: Evidence, **found: Sequence[tuple[Any, ...]]) -> Page:
    write_report(folder / "report.html", evidence, _tables(evidence.images, **found))
    return Page((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def faulty(tmp_path: Path) -> Page:
    """Of two sources with one or two of each fault, and a canary in each field that may name a patient or a file."""
    names = {"near": [f"canary-{number}/a.png" for number in range(4)], "far": ["canary-far/0.png", "canary-far/1.png"]}
    rows: list[dict[str, Any]] = []
    for source, images in names.items():
        for image in images:
            told = {"patient_id": "canary-patient", "study_id": "canary-study", "copy_of": "far/canary-copy"}
            masks = [{"finding": "Mass", "path": "canary-mask.png"}]
            rows.append(_image(len(rows), source, image=image, masks=masks, Mass=len(rows) % 2, **told))
    one, two, three, four = names["near"]
    left_out = [("canary-left", scope, f"code_{scope}", "canary-reason", "near") for scope in ("image", "row", "value")]
    found = {
        "overlaps": [
            _ledger_row(one, names["far"][0], 0.9, SAME, "far"),
            _ledger_row(one, two, 0.6, APART),
            _ledger_row(one, three, 0.8, SAME),
        ],
        "leaks": [("near", one, "train", two, "patient", "canary-group")],
        "conflicts": [("near", one, "near", two, "Mass", "absent")],
        "probes": [
            ("near", "Mass", 4, 0.8, 0.82, "mean", 0.7, True),
            ("all", "source", 6, 0.9, 0.99, "", np.nan, False),
        ],
        "suspicious": [("near", three, "Mass", 0, 0.125)],
        "odd": [("near", four, "blank", 0.01), ("far", names["far"][1], "text", 0.9)],
    }
    return _page(tmp_path, _evidence(rows, left_out), **found)


def test_page_names_no_patient_and_no_file(faulty: Page) -> None:
    assert "canary" not in faulty.text
    for number in range(6):
        name = f"{number * 7919:06x}".ljust(12, "e")
        assert name in faulty.text
        assert name + "e" not in faulty.text


def test_page_asks_no_host_and_runs_nothing(faulty: Page) -> None:
    assert not faulty.tags & {"script", "link", "iframe", "object", "embed"}
    assert "http:" not in faulty.text
    assert "https:" not in faulty.text
    assert "url(" not in faulty.text
    assert all(_decoded(picture).size for picture in faulty.pictures)


def test_each_fault_is_counted_and_leads_to_its_section(faulty: Page) -> None:
    assert faulty.links[:6] == [
        ("#leaks", "1 leaks of official lists"),
        ("#overlaps", "1 overlaps across sources"),
        ("#conflicts", "1 label conflicts"),
        ("#shortcuts", "1 shortcut warnings"),
        ("#suspicious", "1 suspicious labels"),
        ("#odd", "2 odd images"),
    ]
    assert {link.removeprefix("#") for link, _ in faulty.links} <= faulty.ids


def test_faults_are_pictured_with_what_is_said_of_them(faulty: Page) -> None:
    for said in (
        "train | test, same patient",
        "correlation 0.90, cosine 0.90, hash 8",
        "Mass: absent | present",
        "Mass: labelled absent, chance 12.5%",
        "Blank: 1 of 1",
        "Text: 1 of 1",
    ):
        assert said in faulty.text
    assert "Research use. Not for diagnosis." in faulty.text


def test_overlaps_are_counted_by_sources_and_kind(faulty: Page) -> None:
    nothing = {"Same file": "0", "Same picture": "0", "Declared only": "0", "Kept apart": "0"}
    assert faulty.table("Pairs by sources") == [
        {"One source": "near", "Other source": "far", **nothing, "Same picture": "1"},
        {"One source": "near", "Other source": "near", **nothing, "Same picture": "1", "Kept apart": "1"},
    ]


def test_warned_probes_come_first_and_a_figure_that_is_not_there_is_a_dash(faulty: Page) -> None:
    first, second = faulty.table("Probes")
    assert (first["Target"], first["Its AUROC"], first["Warning"]) == ("Mass", "0.70", "shortcut")
    assert (second["Target"], second["Its AUROC"], second["Warning"]) == ("source", "–", "")


def test_images_read_are_those_kept_and_those_left_out(tmp_path: Path) -> None:
    rows = [_image(number, "one" if number < 3 else "two") for number in range(5)]
    left_out = [
        ("a", "image", "not_frontal", "", "two"),
        ("b", "image", "not_frontal", "", "one"),
        ("c", "image", "unreadable", "", "lost"),
        ("d", "row", "repeated_row", "", "one"),
        ("e", "value", "age_out_of_range", "", "one"),
    ]
    page = _page(tmp_path, _evidence(rows, left_out))
    heads = ("Source", "Read", "= kept", "+ not_frontal", "+ unreadable")
    expected = [("one", 4, 3, 1, 0), ("two", 3, 2, 1, 0), ("lost", 1, 0, 0, 1), ("All", 8, 5, 2, 1)]
    assert page.table("Images that are there") == [dict(zip(heads, map(str, row), strict=True)) for row in expected]
    remarks = [tuple(row.values()) for row in page.table("Left out of images that are kept")]
    assert set(remarks) == {("one", "row", "repeated_row", "1"), ("one", "value", "age_out_of_range", "1")}


def test_kept_images_are_counted_with_patients_and_groups(tmp_path: Path) -> None:
    rows = [_image(number, "real", patient_id=f"{number // 2:032x}") for number in range(3)]
    rows.append(_image(3, "drawings", drawn=True, patient_id=f"{0:032x}"))
    table = _page(tmp_path, _evidence(rows)).table("What is kept")
    assert [tuple(row.values()) for row in table] == [
        ("real", "real", "3", "2", "2", "2", "0"),
        ("drawings", "drawn", "1", "1", "1", "1", "0"),
        ("All", "real and drawn", "4", "2", "2", "3", "0"),
    ]


def test_a_finding_that_one_source_labels_is_flagged(tmp_path: Path) -> None:
    rows = [_image(0, "one", Mass=1, Edema=0), _image(1, "two", Mass=0), _image(2, "two", uncertain=["Edema"])]
    table = _page(tmp_path, _evidence(rows)).table("Labels by finding")
    assert [tuple(row.values()) for row in table] == [
        ("Mass", "one", "1", "0", "1", "100.0%", ""),
        ("Mass", "two", "1", "0", "0", "0.0%", ""),
        ("Edema", "one", "1", "0", "0", "0.0%", "one source only"),
        ("Edema", "two", "0", "1", "0", "–", "one source only"),
    ]


def test_a_source_by_itself_is_confounded_with_nothing(tmp_path: Path) -> None:
    (row,) = _page(tmp_path, _evidence([_image(0, "one", Mass=1)])).table("Labels by finding")
    assert row["Warning"] == ""


def test_ages_are_told_in_bands_of_ten_years_and_unknown_ones_as_unknown(tmp_path: Path) -> None:
    ages = (9.9, 10, 89, 90, 104, None)
    rows = [_image(number, "one", age_years=age, sex="F") for number, age in enumerate(ages)]
    page = _page(tmp_path, _evidence(rows))
    (counts,) = page.table("Images by age")
    assert {head: count for head, count in counts.items() if count != "0"} == {
        "Source": "one",
        "0–9": "1",
        "10–19": "1",
        "80–89": "1",
        "90+": "2",
        "Unknown": "1",
    }
    (views,) = page.table("Images by view")
    assert {head: count for head, count in views.items() if count == "6"} == {"View unknown": "6", "Female": "6"}


def test_contact_sheets_do_not_depend_on_the_order_of_images(tmp_path: Path) -> None:
    rows = [_image(number, "one", Mass=number % 2) for number in range(60)]
    sheets = _page(tmp_path, _evidence(rows)).pictures
    assert len(sheets) == 2
    assert _page(tmp_path, _evidence(rows[::-1])).pictures == sheets


def test_a_contact_sheet_shows_at_most_24_images_each_in_its_own_shape(tmp_path: Path) -> None:
    rows = [_image(number, "one", width=200, height=100) for number in range(25)]
    evidence = replace(_evidence(rows), thumbnails=np.full((25, THUMBNAIL_PX, THUMBNAIL_PX), 255, np.uint8))
    sheet = _decoded(_page(tmp_path, evidence).pictures[0])
    assert sheet.shape == (300, 800)
    assert (sheet > 200).mean() == pytest.approx(96 * 48 / 100**2, abs=0.02)


def test_pairs_nearest_to_the_threshold_come_first(tmp_path: Path) -> None:
    pairs = [(0.8, SAME), (0.71, SAME), (0.61, APART), (0.69, APART)]
    ledger = [_ledger_row("0.png", f"{at}.png", like, decision) for at, (like, decision) in enumerate(pairs, 1)]
    text = _page(tmp_path, _evidence([_image(number, "near") for number in range(5)]), overlaps=ledger).text
    places = [text.index(f"correlation {like}") for like in ("0.71", "0.80", "0.69", "0.61")]
    assert places == sorted(places)


def test_what_a_publisher_alone_declares_has_no_figures(tmp_path: Path) -> None:
    ledger = [("near", "0.png", "near", "1.png", "declared", 30, np.nan, np.nan, False, True, SAME)]
    page = _page(tmp_path, _evidence([_image(number, "near") for number in range(2)]), overlaps=ledger)
    assert page.table("Pairs by sources")[0]["Declared only"] == "1"
    assert "<figcaption>declared a copy<br>" in page.text


def test_what_is_not_found_is_said(tmp_path: Path) -> None:
    page = _page(tmp_path, _evidence([_image(0, "one")]))
    assert [said.split()[0] for _, said in page.links[:6]] == ["0"] * 6
    assert page.text.count('class="none"') == 8
    assert "<mark>" not in page.text


def test_markup_in_a_table_stays_text(tmp_path: Path) -> None:
    page = _page(tmp_path, _evidence([_image(0, "one")], [("a", "image", "<i>odd</i>", "", "one")]))
    assert "i" not in page.tags
    assert page.table("Images that are there")[0]["+ <i>odd</i>"] == "1"


def _decoded(picture: str) -> np.ndarray:
    start = "data:image/jpeg;base64,"
    assert picture.startswith(start)
    data = np.frombuffer(base64.b64decode(picture.removeprefix(start), validate=True), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
