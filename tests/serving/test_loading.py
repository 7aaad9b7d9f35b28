"""What is loaded to serve is what was registered and signed, and nothing else."""

import shutil

import pytest

from models.errors import BundleDigestError, BundleFormatError, ParityError, SignatureError
from models.registry import kept_bundle
from models.signing import Keys, make_key, sign_bundle
from serving.loading import load
from serving.settings import Settings


@pytest.fixture
def settings(tmp_path):
    """Settings with a key of the test's own."""
    keys = Keys.below(tmp_path)
    make_key(keys.private, keys.trusted)
    return Settings(registry_folder=tmp_path)


def keep(bundle_folder, settings, digest, sign=True):
    """A copy of the bundle where one of that digest is expected."""
    folder = shutil.copytree(bundle_folder, kept_bundle(settings.registry_folder, digest))
    if sign:
        sign_bundle(folder, settings.keys.private)


def test_a_signed_bundle_is_ready_to_answer(bundle_folder, bundle, settings):
    keep(bundle_folder, settings, bundle.digest)
    loaded = load(f"pneumonia@{bundle.digest}", settings, threads=1)
    assert (loaded.digest, loaded.engine_name) == (bundle.digest, "openvino")


def test_another_bundle_than_the_registry_names_is_refused(bundle_folder, settings):
    digest = "sha256:" + "0" * 64
    keep(bundle_folder, settings, digest)
    with pytest.raises(BundleDigestError, match=f"expected {digest}"):
        load(f"pneumonia@{digest}", settings, threads=1)


def test_a_bundle_that_nobody_signed_is_refused(bundle_folder, bundle, settings):
    keep(bundle_folder, settings, bundle.digest, sign=False)
    with pytest.raises(SignatureError, match="it has no bundle"):
        load(f"pneumonia@{bundle.digest}", settings, threads=1)


def test_a_bundle_that_was_deleted_is_refused(bundle, settings):
    with pytest.raises((SignatureError, BundleFormatError)):
        load(f"pneumonia@{bundle.digest}", settings, threads=1)


def test_an_engine_of_reduced_precision_serves_only_what_it_does_not_change(
    bundle_folder, bundle, settings, monkeypatch
):
    keep(bundle_folder, settings, bundle.digest)
    reduced = settings.model_copy(update={"engine": "openvino_bfloat16"})
    reference = f"pneumonia@{bundle.digest}"
    monkeypatch.setattr("models.engine.REDUCED_TOLERANCE", 1.0)
    assert load(reference, reduced, threads=1).engine_name == "openvino_bfloat16"
    monkeypatch.setattr("models.engine.REDUCED_TOLERANCE", -1.0)
    with pytest.raises(ParityError, match="openvino_bfloat16"):
        load(reference, reduced, threads=1)
