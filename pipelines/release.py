"""Makes a trained and measured bundle ready to be given away: with the card of its figures, limits and terms."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.bundle import MANIFEST, Manifest, read_manifest
from models.bundle_writing import write_bundle
from models.card import SourceCard, model_card
from models.errors import BundleError, DataError
from pipelines.sources.card import load_cards
from pipelines.stage import run_stage
from pipelines.terms import age_group_of, terms_of


def release(model: str, trained: Path, metrics: Path, cards: Path, bundle: Path) -> Manifest:
    """Writes the bundle with the same network and thresholds, its card, and what its sources' cards say now.

    Args:
        model: its name.
        trained: the bundle as training left it.
        metrics: its figures, as the evaluation wrote them.
        cards: holds a card a source.
        bundle: the folder to write.

    Raises:
        BundleFormatError, BundleDigestError: see `models.bundle.read_manifest`.
        BundleError: it is of another model.
        DataError: the figures are not there, or not of this bundle's findings.
        SettingsError: the card of a source is not there or malformed.
        BundleWriteError: the disk is full or not writable.
    """
    manifest, _ = read_manifest(trained)
    if manifest.name != model:
        reason = f"{trained}: expected a bundle of the model {model}, but received one of {manifest.name}."
        raise BundleError(reason=f"{reason} Name the folder of its own bundle.")
    figures = read_figures(metrics)
    of_sources = load_cards(cards, _sources(manifest))
    released = manifest.model_copy(
        update={
            "confounded": confounded(manifest, figures, metrics),
            "age_group": age_group_of({source: of_sources[source] for source in manifest.training.sources}),
            "terms": terms_of(of_sources),
        }
    )
    return write_bundle(bundle, trained, released, card_of(released, figures, cards, f"dvc repro release@{model}"))


def _sources(manifest: Manifest) -> list[str]:
    """Those that trained the weights, then those that trained the bundle which they began with."""
    beginning = Path(str(manifest.training.parameters.get("weights", "none")))
    inherited = read_manifest(beginning)[0].terms.by_source if (beginning / MANIFEST).is_file() else {}
    return list(dict.fromkeys([*manifest.training.sources, *manifest.terms.by_source, *inherited]))


def card_of(manifest: Manifest, figures: Mapping[str, Any], cards: Path, reproduce: str) -> str:
    """The model card of a bundle.

    Args:
        manifest: of the bundle.
        figures: of its evaluation.
        cards: holds a card a source.
        reproduce: the command that makes it again.

    Raises:
        SettingsError: the card of a source is not there or malformed.
    """
    described = {
        source: SourceCard(
            title=card.title,
            licence=card.licence,
            citation=card.citation,
            terms=card.terms,
            limits=card.limits,
            weights_terms=card.weights.terms,
            shareable=card.weights.shareable,
        )
        for source, card in load_cards(cards, manifest.terms.by_source).items()
    }
    return model_card(manifest, figures, described, reproduce)


def read_figures(metrics: Path) -> dict[str, Any]:
    """The figures of an evaluation.

    Raises:
        DataError: they are not there, or no JSON object.
    """
    try:
        figures = json.loads(metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(reason=f"Expected figures in {metrics}, but {error}. Run: dvc repro evaluate") from error
    if not isinstance(figures, dict):
        raise DataError(reason=f"Expected figures in {metrics}, but it is no JSON object. Run: dvc repro evaluate")
    return figures


def confounded(manifest: Manifest, figures: Mapping[str, Any], metrics: Path) -> tuple[str, ...]:
    """The findings that the figures' probes tell nearly as well; none where nothing was probed.

    Raises:
        DataError: the probes are of other findings.
    """
    probes = figures.get("probes", {})
    if probes and set(probes) != set(manifest.findings):
        reason = f"Expected figures of {', '.join(manifest.findings)} in {metrics}, but received {', '.join(probes)}."
        raise DataError(reason=f"{reason} Run: dvc repro evaluate@{manifest.name}")
    return tuple(finding for finding in manifest.findings if probes and probes[finding]["confounded"])


def main(model: str, trained: str, metrics: str, cards: str, bundle: str) -> None:
    """`python -m pipelines.release MODEL TRAINED METRICS CARDS BUNDLE`."""
    release(model, Path(trained), Path(metrics), Path(cards), Path(bundle))


if __name__ == "__main__":
    run_stage(main)
