"""A line a finding, for the terminal: its figure with its interval, its calibration and its weaknesses."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.bundle import Manifest
from pipelines.evaluate.figures import MEASURED, MIN_POSITIVES
from pipelines.evaluate.samples import Estimate

_HEADS = ("finding", "positives", "AUROC", "ECE", "trivial", "source", "remarks")
_WHOLE = ("mean_auroc", "accuracy", "balanced_accuracy", "macro_auroc", "normal_auroc")


def summary(manifest: Manifest, figures: Mapping[str, Any]) -> str:
    """The test split's figures as plain text, then the whole of every split.

    Args:
        manifest: of the model.
        figures: as in metrics.json.
    """
    lines = [f"{manifest.name} ({manifest.training.backbone})"]
    if "test" in figures:
        overall = figures["test"]["overall"]
        rows = [
            _row(finding, overall["findings"][finding], figures["probes"][finding]) for finding in manifest.findings
        ]
        widths = [max(len(row[column]) for row in (_HEADS, *rows)) for column in range(len(_HEADS))]
        for row in (_HEADS, *rows):
            lines.append("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    else:
        lines.append("no test images")
    for split in MEASURED:
        if split in figures:
            overall = figures[split]["overall"]
            whole = [f"{name} {shown(overall[name])}" for name in _WHOLE if name in overall]
            lines.append(f"{split}: {overall['images']} images, {', '.join(whole)}")
    return "\n".join(lines) + "\n"


def _row(finding: str, figures: Mapping[str, Any], probes: Mapping[str, Any]) -> tuple[str, ...]:
    probed = [plain(probes[name]["value"]) for name in ("trivial", "source")]
    values = (shown(figures["auroc"]), plain(figures["ece"]["value"]), *probed)
    return (finding, str(figures["positives"]), *values, "; ".join(remarks(figures, probes)))


def remarks(figures: Mapping[str, Any], probes: Mapping[str, Any]) -> Iterator[str]:
    """What is to be known before a finding's figures are believed.

    Args:
        figures: of the finding, on some split.
        probes: of the finding; none where there is no test split.
    """
    for kind in ("positives", "negatives"):
        if not figures[kind]:
            yield f"no {kind}"
    if 0 < figures["positives"] < MIN_POSITIVES:
        yield "few positives"
    if probes and probes["confounded"]:
        yield "confounded"


def shown(estimate: Estimate) -> str:
    """`0.912 [0.873, 0.947]`; a dash where it is not defined."""
    value = plain(estimate["value"])
    if estimate["low"] is None:
        return value
    return f"{value} [{plain(estimate['low'])}, {plain(estimate['high'])}]"


def plain(value: float | None) -> str:
    """Three decimals; a dash for None."""
    return "–" if value is None else f"{value:.3f}"
