"""A bundle that this machine keeps, ready to answer."""

import numpy as np

from models.bundle import Bundle, load_bundle
from models.radiograph import Radiograph
from models.registry import kept_bundle
from models.signing import verify_bundle
from serving.settings import Settings


def load(reference: str, settings: Settings, threads: int) -> Bundle:
    """The bundle of a reference, verified and warm.

    Args:
        reference: name@digest.
        settings: of the service.
        threads: that its engine may use; 0 leaves it to the engine.

    Raises:
        BundleError: the bundle is not what the registry says, or nobody who is trusted signed it.
        SigningKeyError: no key is trusted.
    """
    digest = reference.partition("@")[2]
    folder = kept_bundle(settings.registry_folder, digest)
    verify_bundle(folder, settings.keys.trusted)
    bundle = load_bundle(folder, digest, settings.engine, threads)
    bundle.predict([Radiograph(np.zeros((64, 64), np.uint8))])  # an engine's first run takes longer
    return bundle
