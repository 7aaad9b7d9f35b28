"""A registry of a test's own, on SQLite, with as many versions as it wants."""

import pytest

from models.bundle_writing import write_bundle
from tests.conftest import CARD, registry_in


@pytest.fixture
def own(tmp_path, empty_database):
    """A new, empty registry in `tmp_path / "registry"`."""
    return registry_in(tmp_path / "registry", empty_database)


@pytest.fixture
def bundles(tmp_path, small_exported, small_manifest):
    """Makes the bundle of a number, told apart by the number of its training images."""

    def make(number):
        training = small_manifest.training.model_copy(update={"images": number})
        folder = tmp_path / "bundles" / str(number)
        write_bundle(folder, small_exported, small_manifest.model_copy(update={"training": training}), CARD)
        return folder

    return make


@pytest.fixture
def versions(own, bundles):
    """Three registered versions, the first of them in production."""
    registered = [own.register(bundles(number), {}, "ann") for number in range(3)]
    own.promote(registered[0], "ann", "the first")
    return registered
