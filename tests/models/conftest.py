"""A network of 20 x 20 pixels, whose bundle is small enough to be copied, damaged and registered many times."""

import numpy as np
import pytest

from models.backbones import find_backbone
from models.bundle import GATES
from models.bundle_writing import export_network, write_bundle
from models.gates import Gates
from models.heads import build_network
from models.preprocessing import Preprocessor
from models.radiograph import Radiograph
from tests.conftest import CARD, FEATURES

SMALL = Preprocessor(height_px=20, width_px=20)


@pytest.fixture(scope="session")
def small_network(manifest):
    import keras

    keras.utils.set_random_seed(11)
    return build_network(find_backbone("baseline_cnn"), manifest.heads, SMALL).answerer


@pytest.fixture(scope="session")
def small_exported(tmp_path_factory, small_network):
    folder = tmp_path_factory.mktemp("small_exported")
    export_network(small_network, folder)
    Gates.open_to_all(FEATURES).save(folder / GATES)
    return folder


@pytest.fixture(scope="session")
def small_manifest(manifest):
    return manifest.model_copy(update={"preprocessing": SMALL})


@pytest.fixture
def small_bundle(tmp_path, small_exported, small_manifest):
    """A bundle of the test's own, to be damaged as it likes."""
    folder = tmp_path / "small_bundle"
    write_bundle(folder, small_exported, small_manifest, CARD)
    return folder


@pytest.fixture
def radiographs(noise):
    return [Radiograph(noise.integers(0, 65536, shape, np.uint16)) for shape in [(40, 50), (150, 150), (300, 200)]]
