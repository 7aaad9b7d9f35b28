"""What a predictor asks of Ray, and what it refuses to start with; its answers are tested through the door."""

import shutil
from pathlib import Path

import pytest

from models.errors import BundleDigestError, SignatureError
from models.signing import Keys, make_key, sign_bundle
from serving.lineup import Standing
from serving.predictor import Predictor, predictor
from serving.schemas import ModelDescription
from serving.settings import Settings


def served(folder, digest="sha256:" + "0" * 64):
    description = ModelDescription(
        name="pneumonia",
        version="1",
        aliases=[],
        digest=digest,
        findings=[],
        age_group="any",
        confounded=[],
        metrics={},
        card="",
    )
    return Standing(alias="production", bundle=folder, description=description)


def deployment(**settings):
    return predictor(served(Path("unread")), Settings(**settings))._bound_deployment


@pytest.mark.parametrize("max_batch_size", [1, 3, 16, 200])
@pytest.mark.parametrize("reading_threads", [1, 8])
def test_a_batch_fills_while_another_is_scored(max_batch_size, reading_threads):
    room = deployment(max_batch_size=max_batch_size, reading_threads=reading_threads).max_ongoing_requests
    assert room >= 2 * max_batch_size
    assert room - 2 * max_batch_size >= reading_threads


def test_as_many_requests_wait_as_the_settings_say():
    assert deployment(max_waiting_requests=7).max_queued_requests == 7


def test_each_model_is_a_deployment_of_its_own_name():
    assert deployment().name == "predictor-pneumonia"


@pytest.fixture
def settings(tmp_path):
    """Settings with a key of the test's own."""
    keys = Keys.below(tmp_path)
    make_key(keys.private, keys.trusted)
    return Settings(registry_folder=tmp_path)


def test_a_replica_does_not_start_with_another_bundle_than_the_registry_names(bundle_folder, settings, tmp_path):
    bundle = shutil.copytree(bundle_folder, tmp_path / "bundle")
    sign_bundle(bundle, settings.keys.private)
    with pytest.raises(BundleDigestError, match=f"expected sha256:{'0' * 64}"):
        Predictor(served(bundle), settings)


def test_a_replica_does_not_start_with_a_bundle_that_nobody_signed(bundle_folder, settings):
    with pytest.raises(SignatureError, match="it has no bundle"):
        Predictor(served(bundle_folder), settings)
