# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder's graph in the files of other engines, and its error against torch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.engines.graphs.agreement import open_session
from sfm_depth_ros.engines.graphs.constants import fix_input_shape, fold_constants, parse_graph
from sfm_depth_ros.engines.graphs.precision import to_half
from sfm_depth_ros.engines.verification import RelativeError, check_shape, verify_engine
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.optional import require


@dataclass(frozen=True)
class GraphForm:
    """Form of an exported graph."""

    precision: str = "fp32"  # `"fp32"` or `"fp16"`
    batch: int = 1  # Images at a time; 0 = any number
    # Height and width of the image; None = any multiples of 32
    size_hw: tuple[int, int] | None = None


def model_graph(folder: ModelFolder, network: str, form: GraphForm) -> bytes:
    """A network's graph, from the model's own where that has the batch, else exported by torch.

    Args:
        folder: The model.
        network: ``"depth"`` or ``"pose"``.
        form: Precision, batch and size of the graph.

    Raises:
        ModelError: The graph is damaged, or its weights do not fit into the precision.
        MissingDependencyError: ``onnx`` is not installed, or torch where the batch is not 1.
    """
    content = folder.onnx(network).read_bytes()
    if form == GraphForm():
        return content
    if form.batch != 1:
        content = _exported(folder, network, form.batch)
    proto = parse_graph(content)
    fold_constants(proto)
    if form.precision == "fp16":
        to_half(proto)
    if form.size_hw is not None and form.batch:
        fix_input_shape(proto, (form.batch, check_shape(folder, network)[1], *form.size_hw))
    elif form.size_hw is not None:
        _fix_size(proto, form.size_hw)
    result: bytes = proto.SerializeToString()
    return result


def check_graph(folder: ModelFolder, network: str, form: GraphForm) -> RelativeError:
    """Compare such a graph with the model's check frames, in ONNX Runtime.

    Raises:
        EngineError: Its output differs from torch's.
        MissingDependencyError: ONNX Runtime is not installed.
    """
    content = model_graph(folder, network, replace(form, size_hw=None))
    session = open_session(content)
    name = session.get_inputs()[0].name
    graph = _Graph(
        lambda images: session.run(None, {name: images})[0], check_shape(folder, network), form
    )
    return verify_engine(graph, folder, network)


def _exported(folder: ModelFolder, network: str, batch: int) -> bytes:
    require("torch")
    from sfm_depth_ros.engines.graphs.export import export_onnx
    from sfm_depth_ros.model_folder.loading import load_network

    return export_onnx(load_network(folder, network), network, batch=batch)


def _fix_size(proto: Any, size_hw: tuple[int, int]) -> None:
    for dimension, size in zip(
        proto.graph.input[0].type.tensor_type.shape.dim[2:], size_hw, strict=True
    ):
        dimension.dim_value = size
    for dimension in proto.graph.output[0].type.tensor_type.shape.dim[1:]:
        dimension.ClearField("dim_param")


def save_openvino_graph(
    folder: ModelFolder, network: str, form: GraphForm, out: Path
) -> list[Path]:
    """Write ``NETWORK.xml`` and ``NETWORK.bin``.

    Args:
        folder: The model.
        network: ``"depth"`` or ``"pose"``.
        form: Precision, batch and size of the graph; at fp16 the weights are half, the
            arithmetic is chosen where it runs.
        out: Folder to write into.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    openvino = require("openvino")
    content = model_graph(folder, network, replace(form, precision="fp32"))
    target = out / f"{network}.xml"
    graph = openvino.Core().read_model(content, b"")
    openvino.save_model(graph, target, compress_to_fp16=form.precision == "fp16")
    return [target, target.with_suffix(".bin")]


def check_openvino_graph(folder: ModelFolder, network: str, form: GraphForm) -> RelativeError:
    """Compare such files, read back by OpenVINO, with the model's check frames.

    Raises:
        EngineError: Their output differs from torch's.
        MissingDependencyError: OpenVINO is not installed.
    """
    any_size = replace(form, size_hw=None)
    with tempfile.TemporaryDirectory(prefix="sfm_depth_export_") as scratch:
        file, _ = save_openvino_graph(folder, network, any_size, Path(scratch))
        hint = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = require("openvino").Core().compile_model(file, "CPU", hint)
        graph = _Graph(lambda images: compiled({0: images})[0], check_shape(folder, network), form)
        return verify_engine(graph, folder, network)


class _Graph(Engine):
    """A graph as an engine; a batch of several is filled with the same image."""

    name = "the exported graph"

    def __init__(
        self,
        compute: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, int, int, int],
        form: GraphForm,
    ) -> None:
        self.precision, self.input_shape = form.precision, shape
        self._batch, self._compute = form.batch or 2, compute

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Output for one image."""
        return np.array(self._compute(np.repeat(image, self._batch, axis=0))[:1])

    def close(self) -> None:
        """Nothing to free: the collector does."""
