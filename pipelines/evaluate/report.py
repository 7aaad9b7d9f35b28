"""The figures of a bundle on one page, which asks no host for anything and names neither a patient nor a file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.bundle import Bundle, Manifest
from models.card import DRAWN_NOTICE, NOTICE
from models.findings import TaskKind
from pipelines.evaluate.charts import axis_of, curve, end_of
from pipelines.evaluate.decisions import OPEN_FROM
from pipelines.evaluate.figures import GROUPS, MEASURED, MIN_POSITIVES
from pipelines.evaluate.probes import NEAR, PROBES
from pipelines.evaluate.samples import MIN_PATIENTS
from pipelines.evaluate.summary import plain, remarks, shown

_TEMPLATE = "report.html.jinja"
_AXIS_PX = 200.0
_SQUARE_PX = 132.0
_FIRST_GROUPS = 15
MIN_IN_GROUP = 10
"""Positives, and negatives, below which a group's AUROC is left to metrics.json."""

Figures = Mapping[str, Any]


def write_report(
    path: Path,
    bundle: Bundle,
    figures: Figures,
    curves: Mapping[str, pd.DataFrame],
    examples: Sequence[Mapping[str, str]],
) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        bundle: that was measured.
        figures: as in metrics.json.
        curves: `roc` and `reliability`, as in their CSV files.
        examples: overlays of heat maps, `title` and `png` in base64 each.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "shown": shown}
    manifest = bundle.manifest
    split = "test" if "test" in figures else next(split for split in MEASURED if split in figures)
    findings = list(_findings(manifest, figures, split))
    page = environment.get_template(_TEMPLATE).render(
        notices=[NOTICE, *([DRAWN_NOTICE] if manifest.training.drawn else [])],
        bundle=bundle,
        manifest=manifest,
        split=split,
        splits={name: figures[name] for name in MEASURED if name in figures},
        overall=figures[split]["overall"],
        findings=findings,
        axis=axis_of([one["figures"]["auroc"] for one in findings], _AXIS_PX),
        classes=[head for head in manifest.heads if head.kind is TaskKind.MULTICLASS],
        squares=list(_squares(findings, curves)) if split == "test" else [],
        groups=_groups(manifest, figures),
        probed=[one for one in findings if one["probes"]],
        probe_axis=axis_of(
            [one["probes"][name] for one in findings if one["probes"] for name in ("model", *PROBES)], _AXIS_PX
        ),
        gates=figures.get("gates", {}),
        conformal=figures.get("conformal", {}),
        heat_maps=figures["heat_maps"],
        sanity=figures["sanity"],
        examples=examples,
        limits={
            "positives": MIN_POSITIVES,
            "patients": MIN_PATIENTS,
            "near": NEAR,
            "open": OPEN_FROM,
            "groups": _FIRST_GROUPS,
            "in_group": MIN_IN_GROUP,
            "square": _SQUARE_PX,
        },
    )
    path.write_text(page, encoding="utf-8")


def _findings(manifest: Manifest, figures: Figures, split: str) -> Iterator[dict[str, Any]]:
    """What the page says of each finding, the highest AUROC first; those without one last."""
    probes = figures.get("probes", {})
    found = figures[split]["overall"]["findings"]
    areas = {finding: found[finding]["auroc"]["value"] for finding in manifest.findings}
    for finding in sorted(areas, key=lambda name: -1.0 if areas[name] is None else areas[name], reverse=True):
        of_finding = probes.get(finding, {})
        yield {
            "name": finding,
            "figures": found[finding],
            "probes": of_finding,
            "remarks": list(remarks(found[finding], of_finding)),
        }


def _squares(findings: Sequence[Mapping[str, Any]], curves: Mapping[str, pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """The ROC curve and the reliability diagram of each finding that has them."""
    roc, reliability = (dict(iter(curves[name].groupby("finding"))) for name in ("roc", "reliability"))
    for one in findings:
        if one["name"] in roc:
            of_roc, bins = roc[one["name"]], reliability[one["name"]]
            across, up = (of_roc[column].to_list() for column in ("false positive rate", "true positive rate"))
            probabilities, shares = (bins[column].to_list() for column in ("mean probability", "share present"))
            end = end_of([*probabilities, *shares])
            yield {
                "name": one["name"],
                "figures": one["figures"],
                "roc": curve(across, up, _SQUARE_PX),
                "reliability": curve(probabilities, shares, _SQUARE_PX, end),
                "end": end,
            }


def _groups(manifest: Manifest, figures: Figures) -> list[dict[str, Any]]:
    """The AUROC of each finding in each group of test or external images with enough of either label, worst first.

    Ordered by how far the upper end of the interval lies below the figure of the whole split: what is surely worse
    comes before what may be so by chance.
    """
    rows = [
        {
            "split": split,
            "by": by,
            "group": group,
            "finding": finding,
            "figures": of_group["findings"][finding],
            "overall": figures[split]["overall"]["findings"][finding]["auroc"],
        }
        for split in ("test", "external")
        if split in figures
        for by in GROUPS
        for group, of_group in figures[split][f"by_{by}"].items()
        for finding in manifest.findings
        if min(of_group["findings"][finding][kind] for kind in ("positives", "negatives")) >= MIN_IN_GROUP
        and of_group["findings"][finding]["auroc"]["high"] is not None
    ]
    return sorted(rows, key=lambda row: row["figures"]["auroc"]["high"] - row["overall"]["value"])
