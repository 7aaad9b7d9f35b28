"""Runs an exported graph: ONNX Runtime or OpenVINO behind one small protocol."""

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import BundleFormatError, ParityError, UnknownNameError

Outputs = dict[str, NDArray[np.float32]]
_PROCESSORS = "CPUExecutionProvider"


class Engine(Protocol):
    """A loaded graph."""

    def run(self, batch: NDArray[np.float32], crowded: bool = False) -> Outputs:
        """Outputs by name, each (n, ...) float32, of a batch (n, H, W, C) float32; safe from several threads.

        Args:
            batch: of any size.
            crowded: whether others run batches at the same time. Then each had better keep to one processor: threads
                that share a batch wait for each other at every layer.
        """
        ...


class OnnxRuntimeEngine:
    """ONNX Runtime: on a GPU where the installed package reaches one, else on processors."""

    def __init__(self, graph: Path, threads: int) -> None:
        import onnxruntime

        def session(threads: int) -> onnxruntime.InferenceSession:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3
            return onnxruntime.InferenceSession(str(graph), options, providers=providers)

        providers = _providers()
        try:
            self._alone = session(threads)
            # A GPU has no use for a second one, and no memory to spare.
            self._crowded = session(1) if providers == [_PROCESSORS] else self._alone
        except Exception as error:  # the library raises plain RuntimeError families without a common root
            raise BundleFormatError(path=graph, reason="ONNX Runtime cannot load the graph") from error
        self._input = self._alone.get_inputs()[0].name
        self._outputs = [output.name for output in self._alone.get_outputs()]

    def run(self, batch: NDArray[np.float32], crowded: bool = False) -> Outputs:
        session = self._crowded if crowded else self._alone
        return dict(zip(self._outputs, session.run(self._outputs, {self._input: batch}), strict=True))


def _providers() -> list[str]:
    import onnxruntime

    return [one for one in ("CUDAExecutionProvider", _PROCESSORS) if one in onnxruntime.get_available_providers()]


class OpenVinoEngine:
    """OpenVINO on the CPU, in float32: its own choice of bfloat16 would break parity with training."""

    precision = "f32"

    def __init__(self, graph: Path, threads: int) -> None:
        import openvino

        streams = threads or os.cpu_count() or 1
        # Not pinned: all engines of a machine would choose the same processor, whoever else is at work on it.
        both = {"INFERENCE_PRECISION_HINT": self.precision, "ENABLE_CPU_PINNING": False}
        alone = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        crowded = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams}
        core = openvino.Core()
        try:
            model = core.read_model(str(graph))
            self._alone = core.compile_model(model, "CPU", both | alone)
            self._crowded = core.compile_model(model, "CPU", both | crowded)
        except RuntimeError as error:
            raise BundleFormatError(path=graph, reason="OpenVINO cannot load the graph") from error
        self._names = [output.get_any_name() for output in self._alone.outputs]
        self._idle: dict[bool, list[Any]] = {False: [], True: []}  # an infer request serves one thread at a time

    def run(self, batch: NDArray[np.float32], crowded: bool = False) -> Outputs:
        idle = self._idle[crowded]
        try:
            request = idle.pop()  # the last that was used, whose memory the processor's caches hold
        except IndexError:
            request = (self._crowded if crowded else self._alone).create_infer_request()
        try:
            request.infer([batch])
            return {name: request.get_output_tensor(i).data.copy() for i, name in enumerate(self._names)}
        finally:
            idle.append(request)


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
