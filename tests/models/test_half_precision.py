"""Rounded weights take half the room, and whoever reads the files gets exactly the rounded ones."""

import zipfile

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from models.engine import ENGINES, load_engine
from models.half_precision import compact_graph, compact_keras, round_weights
from tests.room import no_file_beyond

EXACT = 2.0**-21  # relative; of numbers that a few float32 operations made


@pytest.fixture(scope="module")
def network():
    """Convolutions behind which normalisations stand as after training, within a nested model; already rounded."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(5)
    image = keras.Input((12, 12, 16))
    hidden = layers.Conv2D(96, 1, use_bias=False)(image)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.DepthwiseConv2D(4, padding="same", use_bias=False)(hidden)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    hidden = layers.BatchNormalization()(layers.Conv2D(32, 1, use_bias=False)(hidden))
    backbone = keras.Model(image, layers.GlobalAveragePooling2D()(hidden), name="backbone")
    radiograph = keras.Input((12, 12, 16))
    embedding = backbone(radiograph)
    outputs = {"embedding": embedding, "logits": layers.Dense(40)(embedding)}
    network = keras.Model(radiograph, {name: layers.Identity(name=name)(value) for name, value in outputs.items()})
    drawn = np.random.default_rng(6)
    for weight in network.weights:
        if len(weight.shape) == 1:
            weight.assign(drawn.uniform(0.2, 3.0, weight.shape))
    round_weights(network)
    return network


@pytest.fixture(scope="module")
def originals(tmp_path_factory, network):
    folder = tmp_path_factory.mktemp("originals")
    network(np.zeros((1, 12, 12, 16), np.float32))
    network.save(folder / "model.keras")
    network.export(folder / "model.onnx", format="onnx", verbose=False)
    return folder


@pytest.fixture
def copied(tmp_path, originals):
    """The network's file of that name, to be rewritten."""

    def copy(name):
        (tmp_path / name).write_bytes((originals / name).read_bytes())
        return tmp_path / name

    return copy


def matrix_product(path, kernel):
    """A graph that multiplies a batch (n, rows) by a kernel (rows, columns)."""
    rows, columns = kernel.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["batch", "kernel"], ["product"])],
        "product",
        [helper.make_tensor_value_info("batch", TensorProto.FLOAT, ["n", rows])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, ["n", columns])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), path)


def read_back(path):
    """The kernel that a graph of `matrix_product` multiplies by, as ONNX' own reference reads it."""
    model = onnx.load(path)
    rows = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return ReferenceEvaluator(model).run(None, {"batch": np.eye(rows, dtype=np.float32)})[0]


def eight_bits(drawn, shape, exponents=(-12, 0)):
    """Signed numbers of 8 significant bits."""
    significands = drawn.integers(128, 256, shape) * drawn.choice([-1, 1], shape)
    return np.ldexp(significands, drawn.integers(*exponents, shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (1.0, 1.0),
        (3.14159274, 3.140625),
        (-1 / 3, -0.333984375),
        (1 + 2**-8, 1.0),  # half-way, down to the even neighbour
        (1 + 3 * 2**-8, 1.015625),  # half-way, up to the even neighbour
        (1e-30, 162 * 2.0**-107),
        (0.0, 0.0),
    ],
)
def test_kernels_keep_8_significant_bits(value, rounded):
    import keras

    layer = keras.layers.Dense(32)
    layer.build((None, 32))
    layer.set_weights([np.full((32, 32), value, np.float32), np.full(32, 1 / 3, np.float32)])
    round_weights(layer)
    kernel, bias = layer.get_weights()
    assert np.all(kernel == rounded)
    assert np.array_equal(bias, np.full(32, 1 / 3, np.float32))


def test_small_kernels_and_normalisations_are_left_alone():
    import keras

    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1100), keras.layers.BatchNormalization()])
    network.layers[0].set_weights([np.full((4, 1100), 1 / 3), np.full(1100, 1 / 3)])
    network.layers[1].set_weights([np.full(1100, 1 / 3)] * 4)
    small = keras.layers.Dense(31)
    small.build((None, 33))
    before = small.get_weights()
    round_weights(network)
    round_weights(small)
    rounded, *left = network.get_weights()
    assert np.all(rounded == 0.333984375)
    assert all(np.all(values == np.float32(1 / 3)) for values in left)
    assert np.array_equal(small.get_weights()[0], before[0])


def test_rounding_twice_is_rounding_once(network):
    before = network.get_weights()
    round_weights(network)
    for once, twice in zip(before, network.get_weights(), strict=True):
        assert np.array_equal(once, twice)


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_answer_from_halves_as_keras_does(engine, network, copied, noise):
    graph = copied("model.onnx")
    compact_graph(graph)
    batch = noise.random((3, 12, 12, 16), "float32")
    outputs = load_engine(engine, graph, threads=1).run(batch)
    for name, expected in network(batch, training=False).items():
        assert outputs[name] == pytest.approx(np.asarray(expected), rel=1e-5, abs=1e-5)


def test_no_kernel_of_a_rounded_network_stays_in_float32(copied):
    graph = copied("model.onnx")
    compact_graph(graph)
    model = onnx.load(graph)
    onnx.checker.check_model(model, full_check=True)
    large = [one for one in model.graph.initializer if np.prod(one.dims) >= 1024]
    assert [one.data_type for one in large] == [TensorProto.FLOAT16] * 4
    assert sorted(np.prod(one.dims) for one in large) == [32 * 40, 16 * 96, 16 * 96, 96 * 32]


def test_channels_scaled_by_a_normalisation_come_back(tmp_path, noise):
    kernel = eight_bits(noise, (64, 50)) * noise.uniform(-3, 3, (64, 1)).astype(np.float32)
    kernel[7] = 0
    matrix_product(tmp_path / "model.onnx", kernel)
    compact_graph(tmp_path / "model.onnx")
    assert read_back(tmp_path / "model.onnx") == pytest.approx(kernel, rel=EXACT, abs=0)
    assert (tmp_path / "model.onnx").stat().st_size < 64 * 50 * 2 + 64 * 4 + 400


def test_values_beyond_the_reach_of_halves_vanish_beside_the_largest(tmp_path, noise):
    kernel = eight_bits(noise, (32, 32), exponents=(-60, 0))
    kernel[:, 0] = 128
    matrix_product(tmp_path / "model.onnx", kernel)
    compact_graph(tmp_path / "model.onnx")
    assert read_back(tmp_path / "model.onnx") == pytest.approx(kernel, rel=EXACT, abs=128 * 2.0**-40)


@pytest.mark.parametrize("scale", [1e-36, 1e36])
def test_the_smallest_and_the_largest_float32_come_back(scale, tmp_path, noise):
    kernel = eight_bits(noise, (32, 32), exponents=(-10, -7)) * np.float32(scale)
    matrix_product(tmp_path / "model.onnx", kernel)
    compact_graph(tmp_path / "model.onnx")
    assert read_back(tmp_path / "model.onnx") == pytest.approx(kernel, rel=EXACT, abs=0)


@pytest.mark.parametrize("weights", ["unrounded", "not numbers"])
def test_other_weights_stay_as_they_are(weights, tmp_path, noise):
    kernel = noise.standard_normal((64, 64), "float32")
    matrix_product(tmp_path / "model.onnx", kernel if weights == "unrounded" else np.full_like(kernel, np.nan))
    before = (tmp_path / "model.onnx").read_bytes()
    compact_graph(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == before


def test_a_compact_graph_is_compact_already(copied):
    graph = copied("model.onnx")
    compact_graph(graph)
    before = graph.read_bytes()
    compact_graph(graph)
    assert graph.read_bytes() == before


def test_keras_reads_a_compressed_network_as_before(network, copied, noise):
    import keras

    path = copied("model.keras")
    before = path.stat().st_size
    compact_keras(path)
    with zipfile.ZipFile(path) as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_LZMA}
    assert path.stat().st_size < before / 2
    loaded = keras.saving.load_model(path)
    for received, expected in zip(loaded.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(received, expected)
    batch = noise.random((2, 12, 12, 16), "float32")
    assert np.array_equal(loaded(batch)["logits"], network(batch)["logits"])


@pytest.mark.parametrize(
    ("compact", "name", "refusal"),
    [(compact_graph, "model.onnx", DecodeError), (compact_keras, "model.keras", zipfile.BadZipFile)],
)
def test_a_damaged_file_stays_as_it_was(compact, name, refusal, tmp_path):
    (tmp_path / name).write_bytes(b"neither a graph nor an archive")
    with pytest.raises(refusal):
        compact(tmp_path / name)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
        (name, b"neither a graph nor an archive")
    ]


@pytest.mark.parametrize(("compact", "name"), [(compact_graph, "model.onnx"), (compact_keras, "model.keras")])
def test_a_file_stays_as_it_was_where_there_is_no_room(compact, name, originals, copied):
    path = copied(name)
    with no_file_beyond(2000), pytest.raises(OSError, match="File too large"):
        compact(path)
    assert path.read_bytes() == (originals / name).read_bytes()
    assert list(path.parent.iterdir()) == [path]
