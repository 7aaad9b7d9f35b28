"""The model card: what a person should know before using a bundle (Mitchell et al. 2019, Model Cards)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.bundle import Manifest

NOTICE = "Research use. Not for diagnosis."
DRAWN_NOTICE = "This model was trained on drawings: its scores on a real radiograph mean nothing."

_PATIENTS = {"child": "children", "adult": "adults", "any": "children and adults, as far as its sources show them"}
_OTHER_PATIENTS = {"child": "adults", "adult": "children"}
_LIMITS = {
    "pneumonia": (
        "Labels of the Kermany set come from children of 1 to 5 years at one site; nothing is known about adults.",
        "A radiograph cannot reliably tell bacterial from viral pneumonia; the labels carry that noise.",
    ),
    "thoracic": ("Several sources label by text mining, with errors; a finding a source does not label is unknown.",),
}
_WHOLE = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_auroc": "mean AUROC of the classes",
    "normal_auroc": "AUROC of normal against the rest",
}
_CONFOUNDED = (
    "A finding marked confounded is told nearly as well without looking at disease: from brightness, sharpness, "
    "borders, size and view, or from the source alone. Its figures do not show that the model sees the disease."
)


@dataclass(frozen=True, slots=True)
class SourceCard:
    """What the card of a data source says that a user of the weights should know.

    Attributes:
        title, licence, citation, terms: of the publisher.
        limits: what the source cannot show.
        weights_terms: on which conditions weights trained on it may be used.
        shareable: whether they may be given to others.
    """

    title: str
    licence: str
    citation: str
    terms: str
    limits: str
    weights_terms: str
    shareable: bool


def model_card(
    manifest: "Manifest", figures: Mapping[str, Any] | None, cards: Mapping[str, SourceCard], reproduce: str
) -> str:
    """The card as Markdown.

    Args:
        manifest: of the bundle.
        figures: what `data/evaluation/<model>/metrics.json` says of it; None where it was not measured.
        cards: by name of the source, of those that trained the weights or what they began with.
        reproduce: the command that makes the bundle again.
    """
    found = figures or {}
    sections = {
        "Intended use": _use(manifest),
        "What it answers": _answers(manifest, found),
        "Heat maps": _heat_maps(found),
        "Gates and uncertainty": _decisions(found),
        "Training": _training(manifest, cards),
        "Limits": _bullets(_limits(manifest, found, cards)),
        "Terms of the weights": _terms(manifest, cards),
        "To make it again": f"`{reproduce}`, with the code at the commit and the parameters above.",
    }
    title = f"# Model card: {manifest.name}\n\n**{NOTICE}**{f' **{DRAWN_NOTICE}**' if manifest.training.drawn else ''}"
    return "\n\n".join([title, *(f"## {name}\n\n{text}" for name, text in sections.items())]) + "\n"


def _use(manifest: "Manifest") -> str:
    other = _OTHER_PATIENTS.get(manifest.age_group)
    unfit = [
        "diagnosis, treatment or any other decision about a patient",
        "lateral views, other parts of the body, other modalities, photographs of a screen or a film",
        *([f"{other}: it refuses those whose age says so, and warns where the age is not known"] if other else []),
        "patients, sites and devices unlike those of its sources, unless its figures were measured there first",
    ]
    return (
        "For research and teaching: scores of frontal chest radiographs, to be read beside the radiograph by someone "
        f"who can judge it. It was trained on radiographs of {_PATIENTS[manifest.age_group]}.\n\n"
        f"Not for:\n\n{_bullets(unfit)}"
    )


def _answers(manifest: "Manifest", figures: Mapping[str, Any]) -> str:
    size = manifest.preprocessing
    borders = ", its flat borders cut off" if size.crop_borders else ""
    tone = ", and each grey replaced by the share of darker pixels" if size.tone == "equalised" else ""
    text = (
        f"A frontal chest radiograph{borders}, stretched to {size.width_px} x {size.height_px} px{tone}.\n"
        "A finding is called present where its score reaches the operating point, chosen on validation patients.\n\n"
    )
    points = {name: f"{at:.3f}" for name, at in zip(manifest.findings, manifest.operating_points, strict=True)}
    if "test" not in figures:
        text += "It was not measured yet.\n\n"
        return text + _table(("finding", "operating point"), points.items())
    overall = figures["test"]["overall"]
    text += (
        f"Measured on {overall['images']} images of {overall['patients']} patients whom training had not seen, of the "
        "same sources; with 95 % intervals by patient.\n\n"
    )
    columns = ("finding", "operating point", "positives", "AUROC", "ECE", "AUROC of trivial features", "of the source")
    text += _table((*columns, ""), (_finding(manifest, figures, *item) for item in points.items()))
    if manifest.confounded:
        text += f"\n\n{_CONFOUNDED}"
    if whole := [f"{name} {_shown(overall[key])}" for key, name in _WHOLE.items() if key in overall]:
        text += f"\n\nOf the classes as a whole: {', '.join(whole)}."
    if "external" in figures:
        external = figures["external"]["overall"]["findings"]
        rows = ((name, str(of["positives"]), _shown(of["auroc"])) for name, of in external.items())
        text += "\n\nAt sites that trained nothing:\n\n" + _table(("finding", "positives", "AUROC"), rows)
    return text


def _finding(manifest: "Manifest", figures: Mapping[str, Any], finding: str, point: str) -> tuple[str, ...]:
    found, probes = figures["test"]["overall"]["findings"][finding], figures["probes"][finding]
    measured = (str(found["positives"]), _shown(found["auroc"]), _shown(found["ece"]))
    mark = "confounded" if finding in manifest.confounded else ""
    return (finding, point, *measured, _shown(probes["trivial"]), _shown(probes["source"]), mark)


def _heat_maps(figures: Mapping[str, Any]) -> str:
    found, sanity = figures.get("heat_maps"), figures.get("sanity")
    text = "Each finding has a map of where in the radiograph its score comes from (Grad-CAM), coarse by its nature.\n"
    if found:
        text += (
            "A hit is a map whose hottest point is at most 15 px of 224 from the known lesion; chance is that of any "
            "point; the overlap is that of the lesion and what is at least half as hot as the hottest point.\n\n"
        )
        parts = {"all": found["overall"]} | found["findings"]
        rows = (
            (name, str(of["lesions"]), _shown(of["hit_rate"]), f"{of['chance']:.3f}", _shown(of["iou"]))
            for name, of in parts.items()
        )
        text += _table(("finding", "lesions", "hits", "chance", "overlap"), rows)
    else:
        text += "No lesion is known in its test images, so that nothing is known of how well they point."
    if sanity:
        verdict = "passed" if sanity["passes"] else "FAILED"
        text += (
            f"\n\nTest with shuffled weights (Adebayo et al. 2018): {verdict}; maps before and after are alike by a "
            f"rank correlation of {sanity['correlation']:.2f}."
        )
    return text


def _decisions(figures: Mapping[str, Any]) -> str:
    text = "Before it answers, it looks whether this is a frontal chest radiograph, and one like those it knows."
    if "gates" in figures:
        opened = ", ".join(f"`{name}` {_shown(share)}" for name, share in figures["gates"].items())
        text += f" Share of the test images let pass: {opened}."
    if "conformal" in figures:
        found = figures["conformal"]
        text += (
            f"\n\nAt most {found['risk']:.0%} of the images with a finding are to be called free of it; what is "
            "neither present nor, at that risk, absent is uncertain. On the test images:\n\n"
        )
        rows = ((name, _shown(of["missed"]), _shown(of["uncertain"])) for name, of in found["findings"].items())
        text += _table(("finding", "missed, of those with it", "uncertain, of all"), rows)
        for head, of in found["heads"].items():
            text += (
                f"\n\nHead `{head}`: the true class is not among those left possible for {_shown(of['missed'])}; it "
                f"abstains for {_shown(of['abstained'])}; accuracy of the others {_shown(of['accuracy'])}."
            )
    return text


def _training(manifest: "Manifest", cards: Mapping[str, SourceCard]) -> str:
    training = manifest.training
    versions = ", ".join(f"{name} {version}" for name, version in sorted(training.versions.items()))
    sources = [
        f"`{name}`: {card.title}. Licence: {card.licence.rstrip('.')}. Terms: {card.terms} Cite: {card.citation}"
        for name, card in cards.items()
    ]
    return (
        f"Backbone `{training.backbone}`; {training.images} images of: {', '.join(training.sources)}.\n"
        f"Code {training.commit}; data {training.data}.\n\n{_bullets(sources)}\n\nParameters:\n\n"
        f"```json\n{json.dumps(training.parameters, indent=2, sort_keys=True)}\n```\n\nLibraries: {versions}."
    )


def _limits(manifest: "Manifest", figures: Mapping[str, Any], cards: Mapping[str, SourceCard]) -> Iterator[str]:
    yield from _LIMITS[manifest.task]
    yield from (f"`{name}`: {card.limits}" for name, card in cards.items())
    if "external" not in figures:
        yield "It was not measured at any site that did not train it; expect less there."


def _terms(manifest: "Manifest", cards: Mapping[str, SourceCard]) -> str:
    shared = "may be shared, on these terms" if manifest.terms.shareable else "may NOT be given to others"
    return f"The weights {shared}:\n\n" + _bullets(
        f"`{name}`{'' if name not in cards or cards[name].shareable else ' (not to be shared)'}: {terms}"
        for name, terms in manifest.terms.by_source.items()
    )


def _shown(estimate: Mapping[str, Any]) -> str:
    """A figure with its interval, as far as they are defined."""
    if estimate["value"] is None:
        return "not defined"
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.3f}, {estimate['high']:.3f}]"
    return f"{estimate['value']:.3f}{interval}"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    head, *body = (f"| {' | '.join(cells)} |" for cells in (columns, *rows))
    return "\n".join([head, "|" + "---|" * len(columns), *body])


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"* {item}" for item in items)
