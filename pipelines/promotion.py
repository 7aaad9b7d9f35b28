"""What a version must pass before it may be in production, each gate with what it found."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from models.bundle import GRAPH, KERAS_MODEL, Bundle
from models.bundle_writing import check_parity
from models.errors import DataError, LabelsError, ParityError
from models.radiograph import Radiograph
from pipelines.params import Promote
from pipelines.phantom.cohort import cohort
from pipelines.phantom.draw import draw_phantom
from pipelines.sanity import load_network

GOLDEN_TOLERANCE = 1e-3
"""How far a score may differ from the one at registration, which another engine or machine may have made."""
_GOLDEN_PATIENTS = 4
_GOLDEN_SEED = 11
_NO_GOLDEN = "it was registered without golden predictions"


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether a version passes a gate, and what was found, in words with figures."""

    gate: str
    passes: bool
    found: str


def golden_predictions(bundle: Bundle) -> list[dict[str, Any]]:
    """A few drawn radiographs, `png` in base64 each, with the `scores` of a bundle about them."""
    records = cohort(_GOLDEN_PATIENTS, _GOLDEN_SEED)
    radiographs = [Radiograph(draw_phantom(record).pixels) for record in records]
    return [
        {"png": _png(radiograph), "scores": prediction.scores.tolist()}
        for radiograph, prediction in zip(radiographs, bundle.predict(radiographs), strict=True)
    ]


def judge(
    bundle: Bundle,
    evidence: Mapping[str, Any],
    compared: Callable[[], pd.DataFrame] | None,
    in_production: Sequence[str],
    settings: Promote,
) -> list[GateResult]:
    """Every gate, in the order of a table for people.

    Args:
        bundle: of the version, verified.
        evidence: that it was registered with: `metrics` and `audit` as their stages wrote them, and `golden`.
        compared: measures it against what is in production, as `pipelines.comparing.compare` does; None where nothing
            is.
        in_production: the findings that what is in production is known to be confounded for.
        settings: the section `promote` of params.yaml.
    """
    return [
        _non_inferiority(compared, settings),
        _calibration(evidence, settings),
        _parity(bundle, evidence.get("golden", ())),
        _golden(bundle, evidence.get("golden", ())),
        _shortcuts(bundle, in_production, settings),
        _heat_maps(evidence),
        _licences(bundle),
        _audit(evidence),
    ]


def table(results: Sequence[GateResult]) -> str:
    """The results for people: a line a gate."""
    width = max(len(result.gate) for result in results)
    return "\n".join(f"{'pass' if one.passes else 'FAIL'}  {one.gate:<{width}}  {one.found}" for one in results)


def _non_inferiority(compared: Callable[[], pd.DataFrame] | None, settings: Promote) -> GateResult:
    """No finding's AUROC may lose more than its margin, at the lower end of the paired 95 % interval."""
    gate = "non-inferiority"
    if compared is None:
        return GateResult(gate, passes=True, found="nothing is in production")
    try:
        rows: list[dict[str, Any]] = compared().to_dict("records")  # type: ignore[assignment]
    except (DataError, LabelsError) as error:
        return GateResult(gate, passes=False, found=f"not measured: {error}")
    judged = [row for row in rows if row["positives"] >= settings.min_positives and np.isfinite(row["low"])]
    few = len(rows) - len(judged)
    beside = f"; {few} with fewer than {settings.min_positives} positives not judged" if few else ""
    if not judged:
        return GateResult(gate, passes=False, found=f"no finding can be judged{beside}")
    lost = [row for row in judged if row["low"] < -settings.margins.get(row["finding"], settings.margin)]
    if lost:
        return GateResult(gate, passes=False, found=f"may lose too much: {'; '.join(map(_difference, lost))}{beside}")
    worst = min(judged, key=lambda row: float(row["low"]))
    return GateResult(gate, passes=True, found=f"{len(judged)} findings judged{beside}; worst {_difference(worst)}")


def _difference(row: Mapping[str, Any]) -> str:
    return f"{row['finding']} {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _calibration(evidence: Mapping[str, Any], settings: Promote) -> GateResult:
    """The expected calibration error, at the lower end of its interval, of each finding with enough positives."""
    gate = "calibration"
    findings = evidence.get("metrics", {}).get("test", {}).get("overall", {}).get("findings", {})
    eces = {
        name: figures["ece"]
        for name, figures in findings.items()
        if figures.get("positives", 0) >= settings.min_positives and figures.get("ece", {}).get("low") is not None
    }
    if not eces:
        return GateResult(gate, passes=False, found="no calibration error of a finding with enough positives is known")
    worst = max(eces, key=lambda name: eces[name]["low"])
    largest = max(eces, key=lambda name: eces[name]["value"])
    found = f"largest ECE {eces[largest]['value']:.3f} ({largest})"
    if eces[worst]["low"] > settings.ece:
        return GateResult(gate, passes=False, found=f"{found}; that of {worst} is above {settings.ece} for certain")
    return GateResult(gate, passes=True, found=f"{found}; no interval lies wholly above {settings.ece}")


def _parity(bundle: Bundle, golden: Sequence[Mapping[str, Any]]) -> GateResult:
    """The graph that serves is the network that was trained."""
    if not golden:
        return GateResult("parity", passes=False, found=_NO_GOLDEN)
    network = load_network(bundle.path / KERAS_MODEL)
    batch = np.stack([bundle.preprocess(radiograph) for radiograph in _radiographs(golden)])
    try:
        check_parity(network, bundle.path / GRAPH, batch)
    except ParityError as error:
        return GateResult("parity", passes=False, found=str(error))
    return GateResult("parity", passes=True, found="every engine's outputs equal those of Keras")


def _golden(bundle: Bundle, golden: Sequence[Mapping[str, Any]]) -> GateResult:
    """The scores are those of the machine that registered it."""
    gate = "golden predictions"
    if not golden:
        return GateResult(gate, passes=False, found=_NO_GOLDEN)
    scores = np.stack([prediction.scores for prediction in bundle.predict(_radiographs(golden))])
    difference = float(np.abs(scores - np.asarray([one["scores"] for one in golden])).max())
    found = f"scores differ by at most {difference:.1e} from those at registration; allowed {GOLDEN_TOLERANCE:.0e}"
    return GateResult(gate, difference <= GOLDEN_TOLERANCE, found)


def _shortcuts(bundle: Bundle, in_production: Sequence[str], settings: Promote) -> GateResult:
    """No finding is newly one that features without disease tell nearly as well."""
    confounded = set(bundle.manifest.confounded)
    new = confounded - set(in_production) - set(settings.accept_confounded)
    found = f"confounded: {', '.join(sorted(confounded)) or 'none'}"
    return GateResult("shortcuts", not new, found + (f"; not accepted: {', '.join(sorted(new))}" if new else ""))


def _heat_maps(evidence: Mapping[str, Any]) -> GateResult:
    """Maps change when weights are shuffled."""
    sanity = evidence.get("metrics", {}).get("sanity", {})
    if not sanity:
        return GateResult("heat maps", passes=False, found="not measured")
    found = f"correlation with the maps of shuffled weights {sanity['correlation']:.3f}"
    return GateResult("heat maps", bool(sanity["passes"]), found)


def _licences(bundle: Bundle) -> GateResult:
    """The terms of every source of the weights are known."""
    terms = bundle.manifest.terms
    missing = [source for source in bundle.manifest.training.sources if not terms.by_source.get(source)]
    shared = "weights may be shared" if terms.shareable else "weights must not leave this site"
    found = f"no terms of {', '.join(missing)}" if missing else shared
    return GateResult("licences", not missing, found)


def _audit(evidence: Mapping[str, Any]) -> GateResult:
    """The data were audited, and no patient or image stands on both sides of a split."""
    audit = evidence.get("audit")
    if not audit:
        return GateResult("audit", passes=False, found="no summary of the audit was registered")
    leaks, warnings = audit["official_leaks"], audit["shortcut_warnings"]
    found = f"{audit['images']} images in {audit['groups']} groups, {leaks} leaks, {warnings} shortcut warnings"
    return GateResult("audit", leaks == 0, found)


def _png(radiograph: Radiograph) -> str:
    file = BytesIO()
    Image.fromarray(radiograph.levels).save(file, "PNG")
    return b64encode(file.getvalue()).decode("ascii")


def _radiographs(golden: Sequence[Mapping[str, Any]]) -> list[Radiograph]:
    return [Radiograph(np.asarray(Image.open(BytesIO(b64decode(one["png"]))))) for one in golden]
