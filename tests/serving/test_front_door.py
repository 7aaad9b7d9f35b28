"""What the front door asks of Ray; its answers are tested through it."""

import pytest

from serving.api import front_door
from serving.settings import Settings


def deployment(**settings):
    return front_door(Settings(**settings))._deployment_config


def test_replicas_come_and_go_with_the_requests_as_far_as_the_settings_let_them():
    scaling = deployment(min_replicas=2, max_replicas=5).autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (2, 5)
    assert scaling.target_ongoing_requests < Settings().max_waiting_requests


def test_ray_lets_more_requests_in_than_the_predictor_takes():
    assert deployment().max_ongoing_requests > 100 * Settings().max_waiting_requests


@pytest.mark.parametrize(("threads", "on_a_machine", "processors"), [(0, 1, 0.1), (3, None, 3)])
def test_replicas_do_not_fight_over_processors(threads, on_a_machine, processors):
    replica = front_door(Settings(engine_threads=threads))._replica_config
    assert replica.max_replicas_per_node == on_a_machine
    assert replica.ray_actor_options["num_cpus"] == processors
