"""All that the audit finds on one page, which asks no host for anything and names neither a patient nor a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.card import NOTICE
from models.findings import FINDINGS
from pipelines.audit.evidence import Evidence
from pipelines.audit.ledger import APART, SAME
from pipelines.audit.overlaps import SAME_CORRELATION
from pipelines.audit.probes import MIN_GROUPS, NEAR
from pipelines.audit.sheets import MOST, Album, Gallery
from pipelines.audit.tables import Tables

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_OLDEST_YEARS = 90
_AGES = {age: f"{age}–{age + 9}" for age in range(0, _OLDEST_YEARS, 10)} | {_OLDEST_YEARS: f"{_OLDEST_YEARS}+"}
_IMAGE = (("source", "image"),)
_PAIR = (("source_a", "image_a"), ("source_b", "image_b"))
_LEAK = (("source", "image"), ("source", "test_image"))


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what stands in it.
        is_figure: a number.
        share: in [0, 1], drawn as a bar; None without one.
    """

    text: str
    is_figure: bool
    share: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page.

    Attributes:
        heads: of its columns; the first one names the rows.
        rows: a cell for each head.
    """

    heads: list[str]
    rows: list[list[Cell]]


def write_report(path: Path, evidence: Evidence, tables: Tables) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        evidence: that was looked at.
        tables: that were found.
    """
    loader = FileSystemLoader(_TEMPLATE.parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    limits = {"most": MOST, "same_correlation": SAME_CORRELATION, "min_groups": MIN_GROUPS, "near": NEAR}
    album = Album(evidence)
    page = environment.get_template(_TEMPLATE.name).render(
        notice=NOTICE,
        verdict=_verdict(tables),
        sheets=album.sheets(),
        **limits,
        **_contents(evidence, tables),
        **_faults(album, tables),
    )
    path.write_text(page, encoding="utf-8")


def _verdict(tables: Tables) -> list[tuple[str, int, str]]:
    """The section, the number and the name of each kind of fault, worst first."""
    ledger = tables.overlaps
    across = (ledger["decision"] == SAME) & (ledger["source_a"] != ledger["source_b"])
    return [
        ("leaks", len(tables.leaks), "leaks of official lists"),
        ("overlaps", int(across.sum()), "overlaps across sources"),
        ("conflicts", len(tables.conflicts), "label conflicts"),
        ("shortcuts", int(tables.probes["warning"].sum()), "shortcut warnings"),
        ("suspicious", len(tables.suspicious), "suspicious labels"),
        ("odd", len(tables.odd), "odd images"),
    ]


def _contents(evidence: Evidence, tables: Tables) -> dict[str, Table]:
    images, left_out = evidence.images, evidence.left_out
    of_images = left_out["scope"] == "image"
    return {
        "read": _read(images, left_out[of_images]),
        "remarks": _counted(left_out[~of_images], source="Source", scope="What", code="Reason"),
        "kept": _kept(images, tables.groups),
        "prevalence": _prevalence(tables.prevalence),
        "ages": _ages(images),
        "views": _views(images),
    }


def _faults(album: Album, tables: Tables) -> dict[str, Any]:
    leaks, conflicts, suspicious = tables.leaks, tables.conflicts, tables.suspicious
    odd = tables.odd.sort_values("value", key=abs).groupby("kind")
    return {
        "leaks": _counted(leaks, source="Source", split_official="Test shares with", shared="The same"),
        "leaked": album.gallery("Leaks", leaks, _LEAK, lambda row: f"{row.split_official} | test, same {row.shared}"),
        "overlaps": _overlaps(tables.overlaps),
        "two_ids": len(tables.two_ids),
        "pairs": _pairs(album, tables.overlaps),
        "conflicts": _counted(conflicts, finding="Finding", source_a="One source", source_b="Other source"),
        "conflicting": album.gallery("Label conflicts", conflicts, _PAIR, _conflict),
        "probes": _probes(tables.probes),
        "suspicious": _counted(suspicious, source="Source", finding="Finding"),
        "suspected": album.gallery("Suspicious labels, least chance first", suspicious, _IMAGE, _suspicion),
        "odd": [
            album.gallery(str(kind).capitalize(), rows, _IMAGE, lambda row: f"value {row.value:.2f}")
            for kind, rows in odd
        ],
    }


def _read(images: pd.DataFrame, left_out: pd.DataFrame) -> Table:
    """Those read are those kept and those left out, by reason, the most frequent first."""
    kept = images.groupby("source", sort=False).size().rename("= kept")
    reasons = left_out["code"].value_counts().index
    codes = [left_out.loc[left_out["code"] == code, "source"].value_counts().rename(f"+ {code}") for code in reasons]
    rows = pd.concat([kept, *codes], axis="columns").fillna(0).astype(int)
    rows.loc["All"] = rows.sum()
    rows.insert(0, "Read", rows.sum(axis="columns"))
    return _table(rows.rename_axis("Source").reset_index())


def _kept(images: pd.DataFrame, groups: pd.DataFrame) -> Table:
    every = images.assign(group=groups["group"].to_numpy(), excluded=groups["excluded"].notna().to_numpy())
    rows = [
        {
            "Source": name,
            "Made": " and ".join("drawn" if drawn else "real" for drawn in sorted(part["drawn"].unique())),
            "Images": len(part),
            "Patients": part["patient_id"].nunique(),
            "Groups": part["group"].nunique(),
            "Largest group": part["group"].value_counts().max(),
            "In no split": part["excluded"].sum(),
        }
        for name, part in [*every.groupby("source", sort=False), ("All", every)]
    ]
    return _table(pd.DataFrame(rows))


def _prevalence(prevalence: pd.DataFrame) -> Table:
    """By finding, so that sources can be compared, with a warning where there is none to compare with."""
    rows = prevalence.iloc[prevalence["finding"].map(list(FINDINGS).index).argsort(kind="stable")]
    labelled = rows[rows["labelled"] > 0]
    alone = rows["finding"].map(labelled.groupby("finding")["source"].nunique()) == 1
    warning = np.where(alone & (labelled["source"].nunique() > 1), "one source only", "")
    share = rows["share"].map("{:.1%}".format, na_action="ignore")
    shown = rows[["finding", "source", "labelled", "uncertain", "present", "share"]].assign(share=share)
    shown.columns = ["Finding", "Source", "Labelled", "Uncertain", "Present", "Share present"]
    return _table(shown.assign(Warning=warning), rows[["share"]].set_axis(["Share present"], axis="columns"))


def _ages(images: pd.DataFrame) -> Table:
    counts = _by_source(images, images["age_years"].clip(upper=_OLDEST_YEARS) // 10 * 10, _AGES, "Unknown")
    return _table(counts.reset_index(), counts.div(counts.max(axis="columns"), axis="index"))


def _views(images: pd.DataFrame) -> Table:
    views = _by_source(images, images["view_position"], {"PA": "PA", "AP": "AP"}, "View unknown")
    sexes = _by_source(images, images["sex"], {"F": "Female", "M": "Male"}, "Sex unknown")
    counts = pd.concat([views, sexes], axis="columns")
    return _table(counts.reset_index(), counts.div(views.sum(axis="columns"), axis="index"))


def _by_source(images: pd.DataFrame, values: pd.Series, names: Mapping[Any, str], unknown: str) -> pd.DataFrame:
    counts = pd.crosstab(images["source"], values.map(names).fillna(unknown))
    heads, sources = [*names.values(), unknown], images["source"].unique()
    return counts.reindex(index=sources, columns=heads, fill_value=0).rename_axis("Source")


def _overlaps(ledger: pd.DataFrame) -> Table:
    """By pair of sources; those across sources first, then those with most."""
    kinds = {"file": "Same file", "picture": "Same picture", "declared": "Declared only", APART: "Kept apart"}
    kind = ledger["kind"].where(ledger["decision"] == SAME, APART).map(kinds)
    counts = ledger.groupby(["source_a", "source_b", kind]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=[*kinds.values()], fill_value=0).rename_axis(["One source", "Other source"])
    rows = counts.reset_index()
    within, most = rows["One source"] == rows["Other source"], -rows[[*kinds.values()]].sum(axis="columns")
    return _table(rows.iloc[np.lexsort([most, within])])


def _pairs(album: Album, ledger: pd.DataFrame) -> list[Gallery]:
    """Of each kind, those nearest to the threshold."""
    within = ledger["source_a"] == ledger["source_b"]
    galleries = []
    for decision, order in ((SAME, "least alike first"), (APART, "most alike first")):
        for where, chosen in (("across sources", ~within), ("within a source", within)):
            rows = ledger[chosen & (ledger["decision"] == decision)]
            nearest = rows.sort_values("correlation", ascending=decision == SAME, kind="stable")
            galleries.append(album.gallery(f"{decision.capitalize()} {where}, {order}", nearest, _PAIR, _likeness))
    return galleries


def _probes(probes: pd.DataFrame) -> Table:
    rows = probes.sort_values(["warning", "trivial"], ascending=False)
    shown = rows[["scope", "target", "images", "trivial", "embedding", "feature", "feature_auroc"]]
    heads = ["Scope", "Target", "Images", "AUROC trivial", "AUROC embedding", "Best single feature", "Its AUROC"]
    warning = np.where(rows["warning"], "shortcut", "")
    return _table(shown.set_axis(heads, axis="columns").assign(Warning=warning))


def _likeness(row: Any) -> str:
    measured = f"correlation {row.correlation:.2f}, cosine {row.cosine:.2f}, hash {row.hash_distance}"
    said = {measured: row.kind != "declared", "negative": row.inverted, "declared a copy": row.declared}
    return ", ".join(words for words, holds in said.items() if holds)


def _conflict(row: Any) -> str:
    label_of_b = "absent" if row.label_of_a == "present" else "present"
    return f"{row.finding}: {row.label_of_a} | {label_of_b}"


def _suspicion(row: Any) -> str:
    return f"{row.finding}: labelled {'present' if row.label else 'absent'}, chance {row.chance:.1%}"


def _counted(table: pd.DataFrame, **heads: str) -> Table:
    """How often these columns hold which values, the most frequent first."""
    counts = table.groupby([*heads]).size().sort_values(ascending=False, kind="stable")
    return _table(counts.rename_axis([*heads.values()]).rename("Count").reset_index())


def _table(rows: pd.DataFrame, bars: pd.DataFrame | None = None) -> Table:
    """The page's form of a table; `bars` has as many rows, and shares for the columns of the same names."""
    shares = (pd.DataFrame(index=rows.index) if bars is None else bars).reindex(columns=rows.columns)
    places = zip(rows.itertuples(index=False), shares.itertuples(index=False), strict=True)
    cells = [[_cell(*both) for both in zip(values, of_row, strict=True)] for values, of_row in places]
    return Table([str(head) for head in rows], cells)


def _cell(value: Any, share: float) -> Cell:
    bar = None if pd.isna(share) else float(share)
    if pd.isna(value):
        return Cell("–", True, bar)
    if isinstance(value, str):
        return Cell(value, bar is not None, bar)
    return Cell(f"{value:,}" if isinstance(value, int) else f"{value:.2f}", True, bar)
