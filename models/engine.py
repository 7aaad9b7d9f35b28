"""Runs an exported graph: ONNX Runtime or OpenVINO behind one small protocol."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import BundleFormatError, ParityError, UnknownNameError

Outputs = dict[str, NDArray[np.float32]]


class Engine(Protocol):
    """A loaded graph."""

    def run(self, batch: NDArray[np.float32]) -> Outputs:
        """Outputs by name, each (n, ...) float32, of a batch (n, H, W, C) float32; safe from several threads."""
        ...


class OnnxRuntimeEngine:
    """ONNX Runtime: on a GPU where the installed package reaches one, else on processors."""

    def __init__(self, graph: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(graph), options, providers=_providers())
        except Exception as error:  # the library raises plain RuntimeError families without a common root
            raise BundleFormatError(path=graph, reason="ONNX Runtime cannot load the graph") from error
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, batch: NDArray[np.float32]) -> Outputs:
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._input: batch}), strict=True))


def _providers() -> list[str]:
    import onnxruntime

    return [
        one for one in ("CUDAExecutionProvider", "CPUExecutionProvider") if one in onnxruntime.get_available_providers()
    ]


class OpenVinoEngine:
    """OpenVINO on the CPU, in float32: its own choice of bfloat16 would break parity with training."""

    precision = "f32"

    def __init__(self, graph: Path, threads: int) -> None:
        import openvino

        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            self._compiled = openvino.Core().compile_model(str(graph), "CPU", settings)
        except RuntimeError as error:
            raise BundleFormatError(path=graph, reason="OpenVINO cannot load the graph") from error
        self._names = [output.get_any_name() for output in self._compiled.outputs]
        self._of_thread = threading.local()  # an infer request serves one thread at a time

    def run(self, batch: NDArray[np.float32]) -> Outputs:
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._compiled.create_infer_request()
        request = self._of_thread.request
        request.infer([batch])
        return {name: request.get_output_tensor(i).data.copy() for i, name in enumerate(self._names)}


class OpenVinoBfloat16Engine(OpenVinoEngine):
    """OpenVINO on the CPU, in bfloat16: faster, and no longer what was measured; see `check_reduced`."""

    precision = "bf16"


ENGINES: MappingProxyType[str, Callable[[Path, int], Engine]] = MappingProxyType(
    {
        "onnxruntime": OnnxRuntimeEngine,
        "openvino": OpenVinoEngine,
    }
)
"""Those whose outputs are those of training."""

REDUCED: MappingProxyType[str, Callable[[Path, int], Engine]] = MappingProxyType(
    {"openvino_bfloat16": OpenVinoBfloat16Engine}
)
"""Those whose outputs are nearly so, and which serve a bundle only where `check_reduced` lets them."""

REDUCED_TOLERANCE = 0.005


def check_reduced(name: str, graph: Path, engine: Engine, batch: NDArray[np.float32]) -> None:
    """Returns where an engine of reduced precision gives a graph's scores within 0.005 of those of float32.

    Args:
        name: a key of `REDUCED`, for the message.
        graph: that the engine has loaded.
        engine: that is to serve.
        batch: (n, H, W, C) float32, of the kind that it will see.

    Raises:
        ParityError: a score differs by more.
    """
    exact = OpenVinoEngine(graph, 0).run(batch)["scores"]
    difference = float(np.abs(engine.run(batch)["scores"] - exact).max())
    if not difference <= REDUCED_TOLERANCE:
        raise ParityError(graph=name, tolerance=REDUCED_TOLERANCE, output="scores", difference=difference)


def load_engine(name: str, graph: Path, threads: int) -> Engine:
    """The graph, loaded by the engine of that name.

    Args:
        name: a key of `ENGINES` or `REDUCED`.
        graph: an ONNX file whose one input is (n, H, W, C) float32.
        threads: how many the engine may use; 0 leaves it to the engine.

    Raises:
        UnknownNameError: no engine has that name.
        BundleFormatError: the engine cannot load the graph.
    """
    try:
        engine = (ENGINES | REDUCED)[name]
    except KeyError:
        raise UnknownNameError(kind="engine", name=name, known=", ".join(ENGINES | REDUCED)) from None
    return engine(graph, threads)
