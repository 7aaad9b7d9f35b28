"""Bundles: where the one lies that is meant, and ready to answer."""

from pathlib import Path

import numpy as np

from models.bundle import GRAPH, Bundle, load_bundle, read_manifest
from models.engine import REDUCED, check_reduced, load_engine
from models.radiograph import Radiograph
from models.reading import read_radiograph_file
from models.registry import PRODUCTION, Registry, kept_bundle
from models.signing import verify_bundle
from serving.schemas import ModelName
from serving.settings import Settings

EXAMPLES = Path(__file__).parent / "page" / "examples"
_GAMMAS = (0.6, 0.8, 1.0, 1.25, 1.6)


def find_model(settings: Settings, model: str) -> tuple[Path, ModelName]:
    """The folder of a verified bundle, and what it is called.

    Args:
        settings: say which registry.
        model: NAME, NAME@ALIAS or NAME@VERSION of the registry, or the path of a bundle.

    Raises:
        RegistryError, BundleError: there is no such model, or it is not what was released.
    """
    if Path(model).is_dir():
        manifest, digest = read_manifest(Path(model))
        return Path(model), ModelName(name=manifest.name, version="unregistered", digest=digest)
    name, _, which = model.partition("@")
    registry = Registry(settings.registry_address, settings.registry_folder, settings.keys)
    version = registry.resolve(name, which or PRODUCTION)
    return registry.download(version), ModelName(name=version.name, version=version.version, digest=version.digest)


def load(reference: str, settings: Settings, threads: int) -> Bundle:
    """The bundle of a reference, verified and warm.

    Args:
        reference: name@digest.
        settings: of the service.
        threads: that its engine may use; 0 leaves it to the engine.

    Raises:
        BundleError: the bundle is not what the registry says, nobody who is trusted signed it, or an engine of reduced
            precision changes its scores.
        SigningKeyError: no key is trusted.
    """
    digest = reference.partition("@")[2]
    folder = kept_bundle(settings.registry_folder, digest)
    verify_bundle(folder, settings.keys.trusted)
    bundle = load_bundle(folder, digest, settings.engine, threads)
    black = bundle.preprocess(Radiograph(np.zeros((64, 64), np.uint8)))
    bundle.score([black])  # an engine's first run takes longer, and takes memory
    bundle.score([black] * settings.max_batch_size, crowded=True)
    if settings.engine in REDUCED:
        _check_precision(bundle, settings.engine, threads)
    return bundle


def _check_precision(bundle: Bundle, engine: str, threads: int) -> None:
    """On drawn chests of several exposures: no patient's radiograph may lie about here."""
    drawn = [read_radiograph_file(file).pixels for file in sorted(EXAMPLES.glob("*.png"))]
    exposed = [Radiograph(np.rint(255 * pixels**gamma).astype(np.uint8)) for pixels in drawn for gamma in _GAMMAS]
    graph = bundle.path / GRAPH
    batch = np.stack([bundle.preprocess(radiograph) for radiograph in exposed])
    check_reduced(engine, graph, load_engine(engine, graph, threads), batch)
