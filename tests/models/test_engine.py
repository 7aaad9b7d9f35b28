"""Every engine of the table puts out what Keras does, whatever the batch and however many threads ask."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.engine import ENGINES, REDUCED, check_reduced, load_engine
from models.errors import BundleFormatError, ParityError, UnknownNameError

OUTPUTS = {"logits", "scores", "embedding", "maps"}


def load(name, exported):
    return load_engine(name, exported / "model.onnx", threads=1)


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(5).random((5, 150, 150, 3), "float32")


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, exported):
    return load(request.param, exported)


def test_outputs_are_those_of_keras(engine, exported, batch):
    import keras

    expected = keras.saving.load_model(exported / "model.keras")(batch, training=False)
    outputs = engine.run(batch)
    assert outputs.keys() == expected.keys() == OUTPUTS
    for name, value in expected.items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_allclose(outputs[name], np.asarray(value), atol=1e-4)


def test_a_batch_equals_its_images_one_by_one(engine, batch):
    whole = engine.run(batch)
    for name in OUTPUTS:
        single = np.concatenate([engine.run(image[np.newaxis])[name] for image in batch])
        np.testing.assert_allclose(single, whole[name], atol=1e-5)


def test_a_crowd_changes_nothing(engine, batch):
    alone = engine.run(batch)
    with ThreadPoolExecutor(4) as pool:
        for crowded in pool.map(lambda _: engine.run(batch, crowded=True), range(8)):
            for name in OUTPUTS:
                np.testing.assert_allclose(crowded[name], alone[name], atol=1e-5)


def test_outputs_stay_when_the_engine_runs_again(engine, batch):
    first = engine.run(batch)
    kept = {name: value.copy() for name, value in first.items()}
    engine.run(1 - batch)
    assert all(np.array_equal(first[name], kept[name]) for name in OUTPUTS)


@pytest.mark.parametrize("name", ENGINES)
def test_threads_do_not_mix_their_answers(name, small_exported, noise):
    engine = load(name, small_exported)
    images = noise.random((40, 1, 20, 20, 3), "float32")
    expected = [engine.run(image)["logits"] for image in images]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(engine.run, np.concatenate([images] * 5)))
    for index, outputs in enumerate(found):
        np.testing.assert_allclose(outputs["logits"], expected[index % 40], atol=1e-6)
    assert np.ptp(np.stack(expected), axis=0).min() > 1e-3


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("kept", [None, 0.0, 0.5])
def test_a_missing_empty_or_truncated_graph_is_a_format_error(name, kept, small_exported, tmp_path):
    graph = tmp_path / "model.onnx"
    if kept is not None:
        whole = (small_exported / "model.onnx").read_bytes()
        graph.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(BundleFormatError, match="cannot load the graph") as caught:
        load_engine(name, graph, threads=1)
    assert caught.value.values["path"] == graph


def test_an_unknown_engine_is_told_with_the_known_ones(small_exported):
    with pytest.raises(UnknownNameError) as caught:
        load("tensorrt", small_exported)
    assert caught.value.values == {
        "kind": "engine",
        "name": "tensorrt",
        "known": "onnxruntime, openvino, openvino_bfloat16",
    }


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        ENGINES["tensorrt"] = ENGINES["openvino"]


class Shifted:
    """An engine whose scores are off by a little."""

    def __init__(self, engine, by):
        self.engine, self.by = engine, np.float32(by)

    def run(self, batch, crowded=False):
        outputs = self.engine.run(batch)
        return outputs | {"scores": outputs["scores"] + self.by}


@pytest.mark.parametrize("name", REDUCED)
def test_an_engine_of_reduced_precision_is_measured_against_float32(name, exported, batch):
    graph = exported / "model.onnx"
    reduced = load(name, exported)
    assert np.abs(reduced.run(batch)["scores"] - load("openvino", exported).run(batch)["scores"]).max() < 0.05
    exact = load("onnxruntime", exported)
    check_reduced(name, graph, Shifted(exact, 0.004), batch)
    for by in (0.006, np.nan):
        with pytest.raises(ParityError, match="scores differs by"):
            check_reduced(name, graph, Shifted(exact, by), batch)
