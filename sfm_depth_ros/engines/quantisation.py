# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Int8 graphs with explicit quantise nodes (QDQ), for OpenVINO, ONNX Runtime and TensorRT.

Convolutions are quantised, weights by channel. The first one, which reads raw pixels, and the
heads, whose quantisation steps would be steps in depth, stay in float. Ranges are kept in the
user's cache by architecture, not by weights: a model that was trained further reuses them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import EngineRequest
from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.graphs.constants import parse_graph
from sfm_depth_ros.engines.verification import RelativeError, relative_error
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.optional import require
from sfm_depth_ros.storage import cache_directory, write_whole

ACCEPTED_P99 = 0.1  # relative error of int8 on unseen frames that needs no `insist`
MIN_FRAMES = 4

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """Ranges of a network's values on real frames."""

    # Smallest and largest value by name of a tensor in the graph
    ranges: Mapping[str, tuple[float, float]]
    frames: int  # Number of frames
    model_id: str  # Model whose weights were used


def calibration_file(folder: ModelFolder, network: str, directory: Path | None = None) -> Path:
    """File of the ranges of a model's architecture."""
    architecture = json.dumps(asdict(folder.network_config(network)), sort_keys=True)
    digest = hashlib.sha256(architecture.encode()).hexdigest()[:12]
    return (directory or cache_directory() / "calibration") / f"{network}-{digest}.json"


def find_calibration(
    folder: ModelFolder, network: str, directory: Path | None = None
) -> Calibration | None:
    """Ranges for a model's architecture; None where there are none, or they are damaged."""
    file = calibration_file(folder, network, directory)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        ranges = {
            name: (float(low), float(high)) for name, (low, high) in content["ranges"].items()
        }
        return Calibration(ranges, int(content["frames"]), str(content["model_id"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _logger.warning(
            "%s is ignored: it cannot be read (%s: %s); calibrate again",
            file,
            type(error).__name__,
            error,
        )
        return None


def keep_calibration(
    folder: ModelFolder, network: str, calibration: Calibration, directory: Path | None = None
) -> Path:
    """Write the ranges for this architecture, atomically.

    Raises:
        OSError: The cache cannot be written.
    """
    file = calibration_file(folder, network, directory)
    write_whole(file, json.dumps(asdict(calibration), indent=1))
    return file


def calibrate(
    folder: ModelFolder,
    network: str,
    inputs: np.ndarray,
    insist: bool = False,
    directory: Path | None = None,
) -> RelativeError:
    """Determine the ranges of a network's values and the error of int8; keep the ranges.

    Every second frame gives ranges, the others judge.

    Args:
        folder: Model.
        network: ``"depth"`` or ``"pose"``.
        inputs: ``(N, C, h, w)`` float32 in [0, 1], frames as the robot will see them; for the pose
            network its images stacked, earlier before later.
        insist: Keep the ranges whatever the error is.
        directory: Folder of the ranges; None = in the user's cache.

    Returns:
        Relative error of the int8 graph against the float graph on the frames that judge.

    Raises:
        EngineError: Too few frames, or the error's 99th percentile is beyond ``ACCEPTED_P99``.
        MissingDependencyError: onnx or ONNX Runtime is not installed.
    """
    if len(inputs) < MIN_FRAMES:
        raise EngineError(
            f"int8 needs at least {MIN_FRAMES} frames to calibrate with, got "
            f"{len(inputs)}; use a longer bag"
        )
    graph = folder.onnx(network).read_bytes()
    ranges = value_ranges(graph, inputs[::2])
    calibration = Calibration(ranges, len(inputs[::2]), folder.model_id)
    error = _cost(graph, quantised_graph(graph, calibration), inputs[1::2], network)
    if not (error.p99 <= ACCEPTED_P99 or insist):
        raise EngineError(
            f"int8 changes the output of the {network} network too much (relative error p50 "
            f"{error.p50:.1e}, p99 {error.p99:.1e}, max {error.max:.1e}; p99 allowed "
            f"{ACCEPTED_P99:.0e}); choose precision bf16 or fp32, or give --insist"
        )
    keep_calibration(folder, network, calibration, directory)
    return error


def graph_of(request: EngineRequest) -> Path | bytes:
    """The graph that a CPU engine loads: the model's own file, or its int8 form.

    Raises:
        EngineError: int8 was never calibrated for this architecture.
        MissingDependencyError: int8 needs onnx and ONNX Runtime, and one is not installed.
    """
    if request.precision == "int8":
        return int8_graph(request)
    return request.folder.onnx(request.network)


def int8_graph(request: EngineRequest, symmetric: bool = False) -> bytes:
    """The int8 graph of a model whose architecture has been calibrated.

    Raises:
        EngineError: It has not been.
        MissingDependencyError: onnx or ONNX Runtime is not installed.
    """
    calibration = find_calibration(request.folder, request.network)
    if calibration is None:
        raise EngineError(
            f"int8 was never calibrated for this {request.network} network; type: sfm-depth "
            f"export {shlex.quote(str(request.folder.path))} --precision int8 --calibrate BAG"
        )
    graph = request.folder.onnx(request.network).read_bytes()
    return quantised_graph(graph, calibration, symmetric)


def value_ranges(graph: bytes, inputs: np.ndarray) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of every input and output of a convolution.

    Args:
        graph: Content of an ``.onnx`` file.
        inputs: ``(N, C, h, w)`` float32.
    """
    require("onnx")
    require("onnxruntime")
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    with tempfile.TemporaryDirectory(prefix="sfm_depth_int8_") as scratch, _quiet():
        source = Path(scratch) / "float.onnx"
        source.write_bytes(graph)
        calibrator = create_calibrator(
            source, ["Conv"], str(Path(scratch) / "augmented.onnx"), CalibrationMethod.MinMax
        )
        calibrator.collect_data(_Reader(inputs))
        found = calibrator.compute_data().data
    return {name: _range(value) for name, value in found.items()}


def quantised_graph(graph: bytes, calibration: Calibration, symmetric: bool = False) -> bytes:
    """The same graph with quantise and dequantise nodes around its convolutions.

    Args:
        graph: Content of an ``.onnx`` file.
        calibration: Ranges of the same architecture.
        symmetric: Signed values about zero, as TensorRT takes them; CPUs take unsigned ones.

    Raises:
        EngineError: The ranges belong to another graph.
    """
    require("onnxruntime")
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = parse_graph(graph)
    names = _inner_convolutions(model.graph)
    _check_fit(model.graph, names, calibration)
    ranges = {
        name: (np.float32(low), np.float32(high))
        for name, (low, high) in calibration.ranges.items()
    }
    with _quiet():
        quantizer = QDQQuantizer(
            model,
            True,
            False,
            QuantType.QInt8,
            QuantType.QInt8 if symmetric else QuantType.QUInt8,
            TensorsData(CalibrationMethod.MinMax, ranges),
            names,
            [],
            ["Conv"],
            {"ActivationSymmetric": symmetric, "WeightSymmetric": True},
        )
        quantizer.quantize_model()
    content: bytes = quantizer.model.model.SerializeToString()
    return content


class _Reader:
    """Frames one by one, in the calibrator's interface."""

    def __init__(self, inputs: np.ndarray) -> None:
        self._frames = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        frame = next(self._frames, None)
        return None if frame is None else {"image": frame[None]}


def _range(value: Any) -> tuple[float, float]:
    low, high = (float(np.ravel(bound)[0]) for bound in value.range_value)
    return low, high


def _inner_convolutions(graph: Any) -> list[str]:
    """Names of the convolutions that have others both before and behind them."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    is_behind: set[str] = set()  # tensors that a convolution has gone into
    has_behind: dict[str, bool] = {}  # tensors that a convolution follows
    for node in graph.node:
        if node.op_type == "Conv" or any(name in is_behind for name in node.input):
            is_behind.update(node.output)
    for node in reversed(graph.node):
        follows = any(
            reader.op_type == "Conv" or has_behind[reader.output[0]]
            for name in node.output
            for reader in readers.get(name, ())
        )
        has_behind.update(dict.fromkeys(node.output, follows))
    return [
        node.name
        for node in graph.node
        if node.op_type == "Conv" and node.input[0] in is_behind and has_behind[node.output[0]]
    ]


def _check_fit(graph: Any, names: list[str], calibration: Calibration) -> None:
    inner = set(names)
    needed = {node.input[0] for node in graph.node if node.name in inner}
    if missing := sorted(needed - set(calibration.ranges)):
        raise EngineError(
            f"the int8 ranges lack {missing[:3]}: they belong to another graph; calibrate again"
        )


def _cost(graph: bytes, quantised: bytes, inputs: np.ndarray, network: str) -> RelativeError:
    """Error of the int8 graph against the float graph."""
    expected, found = (
        np.concatenate([session.run(None, {"image": frame[None]})[0] for frame in inputs])
        for session in map(open_session, (graph, quantised))
    )
    return relative_error(found, expected, network)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice about preparing graphs out of our log."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
