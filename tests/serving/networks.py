"""Networks that load and then do badly."""

from itertools import pairwise

import numpy as np
import onnx
from onnx import helper, numpy_helper

from models.bundle import GRAPH
from tests.conftest import FEATURES


def overflowing(exported):
    """The network with last weights so large that all but a black picture leaves what float32 can hold."""
    graph = onnx.load(exported / GRAPH)
    (last,) = [weights for weights in graph.graph.initializer if tuple(weights.dims) == (FEATURES, 3)]
    last.CopyFrom(numpy_helper.from_array(np.full((FEATURES, 3), 3e38, np.float32), last.name))
    return graph


def dragging(exported):
    """The network with its input multiplied again and again by a large identity, to no effect."""
    graph = onnx.load(exported / GRAPH)
    (image,) = graph.graph.input
    width, side = image.type.tensor_type.shape.dim[2].dim_value, 3_000
    matrices = {"wide": np.eye(side, width), "large": np.eye(side), "back": np.eye(width, side)}
    for node in graph.graph.node:
        node.input[:] = ["dragged" if name == image.name else name for name in node.input]
    values = [image.name, "widened", *(f"round {number}" for number in range(2)), "dragged"]
    for place, (before, after) in enumerate(pairwise(values)):
        matrix = {"widened": "wide", "dragged": "back"}.get(after, "large")
        graph.graph.node.insert(place, helper.make_node("MatMul", [matrix, before], [after]))
    graph.graph.initializer.extend(
        numpy_helper.from_array(matrix.astype(np.float32), name) for name, matrix in matrices.items()
    )
    return graph
