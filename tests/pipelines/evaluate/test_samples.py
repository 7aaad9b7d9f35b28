"""Bootstrap by patient, against scipy's."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from models.scoring import auroc
from pipelines.evaluate import samples
from pipelines.evaluate.samples import UNDEFINED, Samples, estimate
from pipelines.params import Evaluate

SETTINGS = Evaluate(replicates=2000, seed=1)


def mean(values):
    return {"mean": lambda weights: weights @ values / weights.sum(axis=1)}


def of_mean(values, patients, settings=SETTINGS):
    everything = np.ones(len(values), bool)
    return estimate(Samples(pd.Series(patients), settings).figures(mean(np.asarray(values)), everything)["mean"])


def test_an_interval_is_that_of_scipys_bootstrap(noise):
    values = noise.normal(size=100)
    found = of_mean(values, range(100))
    expected = bootstrap((values,), np.mean, method="percentile", n_resamples=2000, rng=2).confidence_interval
    assert found["value"] == pytest.approx(values.mean())
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_a_patients_images_are_drawn_together(noise):
    values = noise.normal(size=50)
    once = of_mean(values, range(50))
    assert of_mean(np.repeat(values, 3), np.repeat(range(50), 3)) == pytest.approx(once)


def test_only_counted_images_count(noise):
    values, counted = noise.normal(size=60), np.arange(60) < 40
    found = Samples(pd.Series(range(60)), SETTINGS).figures(mean(values[counted]), counted)["mean"]
    assert found[0] == pytest.approx(values[:40].mean())
    assert np.std(found[1:]) == pytest.approx(values[:40].std() / 40**0.5, rel=0.1)


@pytest.mark.parametrize(("patients", "has_interval"), [(9, False), (10, True)])
def test_fewer_than_ten_patients_give_a_figure_without_interval(patients, has_interval):
    found = of_mean([0.0, 1.0] * 10, np.arange(20) % patients)
    assert found["value"] == 0.5
    assert (found["low"] is not None) == (found["high"] is not None) == has_interval


def test_what_no_image_shows_is_not_defined():
    nothing = {"value": None, "low": None, "high": None}
    found = Samples(pd.Series(range(20)), SETTINGS).figures(mean(np.array([])), np.zeros(20, bool))
    assert estimate(found["mean"]) == estimate(UNDEFINED) == nothing


def test_samples_that_lack_a_class_are_left_out(noise):
    labels = np.r_[1.0, np.zeros(19)]
    metric = {"auroc": partial(auroc, labels, noise.uniform(size=20))}
    found = Samples(pd.Series(range(20)), SETTINGS).figures(metric, np.ones(20, bool))["auroc"]
    assert np.isnan(found).mean() == pytest.approx(0.95**20, abs=0.05)  # the positive is not drawn
    assert None not in estimate(found).values()


def test_figures_do_not_depend_on_how_many_are_made_at_a_time(noise, monkeypatch):
    values = noise.normal(size=30)
    whole = of_mean(values, range(30))
    monkeypatch.setattr(samples, "_BLOCK_CELLS", 100)
    assert of_mean(values, range(30)) == pytest.approx(whole)


def test_another_seed_gives_other_samples_and_the_same_seed_the_same(noise):
    values = noise.normal(size=30)
    assert of_mean(values, range(30)) == of_mean(values, range(30))
    assert of_mean(values, range(30)) != of_mean(values, range(30), SETTINGS.model_copy(update={"seed": 2}))
