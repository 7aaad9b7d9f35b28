"""What a predictor asks of Ray; its answers are tested through the door."""

import pytest

from serving.predictor import predictor
from serving.settings import Settings


def deployment(**settings):
    return predictor(Settings(**settings))._bound_deployment


@pytest.mark.parametrize("max_batch_size", [1, 3, 16, 200])
@pytest.mark.parametrize("reading_threads", [1, 8])
def test_a_batch_fills_while_another_is_scored(max_batch_size, reading_threads):
    room = deployment(max_batch_size=max_batch_size, reading_threads=reading_threads).max_ongoing_requests
    assert room >= 2 * max_batch_size
    assert room - 2 * max_batch_size >= reading_threads


def test_as_many_requests_wait_as_the_settings_say():
    assert deployment(max_waiting_requests=7).max_queued_requests == 7
