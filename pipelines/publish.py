"""Takes a released bundle over into `data/released/`, which git holds, if it may be given to others."""

import shutil
from pathlib import Path

from models.bundle import FILES, MANIFEST, Manifest, read_manifest
from models.bundle_writing import write_bundle
from models.errors import BundleError, LicenceError
from pipelines.params import load_params
from pipelines.release import card_of, read_figures
from pipelines.stage import run_stage

RELEASED = Path("data/released")
CARDS = Path("data/sources")
AUDIT = Path("data/audit/summary.json")
REPRODUCE = "make released"
MOST_BYTES = 25_000_000
"""Of all bundles together: each version of them stays in git for ever."""


def publish(model: str, checkout: Path, cards: Path, released: Path) -> Manifest:
    """Copies a bundle with its figures and the parameters that made it, or nothing; its card names `make released`.

    Args:
        model: its name.
        checkout: where `dvc repro` has released it.
        cards: holds a card a source.
        released: the folder to write into; `<model>/`, `<model>.metrics.json`, `audit.json` and `params.yaml` are
            replaced.

    Returns:
        The manifest as it was written.

    Raises:
        BundleFormatError, BundleDigestError: see `models.bundle.read_manifest`.
        LicenceError: a source of the weights does not allow it.
        BundleError: it was trained on drawings, or is too large beside the bundles that are there already.
        DataError, SettingsError: the figures, the parameters or a card are not there, or malformed.
        BundleWriteError: the disk is full or not writable.
    """
    folder, metrics = checkout / "data/bundles" / model, checkout / "data/evaluation" / model / "metrics.json"
    manifest, _ = read_manifest(folder)
    _check_allowed(folder, manifest)
    _check_size(folder, [other.parent for other in released.glob(f"*/{MANIFEST}") if other.parent.name != model])
    load_params(checkout / "params.yaml")
    read_figures(checkout / AUDIT)
    card = card_of(manifest, read_figures(metrics), cards, REPRODUCE)
    written = write_bundle(released / model, folder, manifest, card)
    for source, target in (
        (metrics, f"{model}.metrics.json"),
        (checkout / AUDIT, "audit.json"),
        (checkout / "params.yaml", "params.yaml"),
    ):
        shutil.copyfile(source, released / target)
    return written


def _check_allowed(folder: Path, manifest: Manifest) -> None:
    if not manifest.terms.shareable:
        terms = "; ".join(f"{source}: {terms}" for source, terms in manifest.terms.by_source.items())
        remedy = "Train without the sources that do not allow it; their cards are in data/sources/."
        raise LicenceError(path=folder, reason=f"its terms are: {terms.rstrip('.')}", remedy=remedy)
    if manifest.training.drawn:
        reason = f"{folder}: expected a bundle trained on radiographs, but it was trained on drawings."
        raise BundleError(reason=f"{reason} Name real sources in params.yaml and run: dvc repro")


def _check_size(folder: Path, others: list[Path]) -> None:
    sizes = {one: sum((one / name).stat().st_size for name in (*FILES, MANIFEST)) for one in (folder, *others)}
    if sum(sizes.values()) > MOST_BYTES:
        found = ", ".join(f"{one} with {size / 1e6:.1f} MB" for one, size in sizes.items())
        reason = f"Expected bundles of at most {MOST_BYTES / 1e6:.0f} MB together, but received {found}."
        raise BundleError(reason=f"{reason} Set compact: true in params.yaml, or choose a smaller backbone.")


def main(model: str, checkout: str = ".") -> None:
    """`python -m pipelines.publish MODEL [CHECKOUT]`."""
    publish(model, Path(checkout), CARDS, RELEASED)


if __name__ == "__main__":
    run_stage(main)
