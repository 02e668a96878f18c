# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder around a depth graph of any origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from sfm_depth_ros.config.loading import to_dict
from sfm_depth_ros.config.networks import METRIC, DepthNetworkConfig
from sfm_depth_ros.engines.graphs.agreement import natural_pictures, open_session
from sfm_depth_ros.engines.graphs.foreign import GraphDeclaration, check_outputs, wrap_graph
from sfm_depth_ros.model_folder.folder import ModelFolder, write_model_folder
from sfm_depth_ros.model_folder.metadata import CHECK_FRAMES, DEPTH_ONNX, DEPTH_WEIGHTS, HEAD


def save_graph(
    destination: Path,
    source: bytes,
    declaration: GraphDeclaration,
    config: DepthNetworkConfig,
    metadata: Mapping[str, Any],
) -> ModelFolder:
    """Wrap a graph, try it, and write it as a model of depth alone.

    Args:
        destination: Folder to make; it must not exist.
        source: Content of the user's ``.onnx`` file.
        declaration: What the graph does not hold.
        config: Named ``onnx``: head, focal rule, range of depths.
        metadata: ``trained_on`` and ``licence``.

    Raises:
        ModelError: The graph cannot be wrapped or its depths make no sense, or the folder cannot
            be written.
        MissingDependencyError: ``onnx`` or ONNX Runtime is not installed.
    """
    wrapped = wrap_graph(source, declaration)
    width, height = wrapped.size
    image = natural_pictures(width, height)
    session = open_session(wrapped.content)
    depth = np.concatenate([session.run(None, {"image": one[None]})[0] for one in image])
    check_outputs(depth, declaration.head, float(wrapped.state["log_scale"]))
    files = {
        DEPTH_WEIGHTS: save_tensors(wrapped.state),
        DEPTH_ONNX: wrapped.content,
        CHECK_FRAMES: save_tensors({"image": image, "depth": depth}),
    }
    content = {
        **metadata,
        "preprocessing": {
            "range": [0, 1],
            "filter": "area",
            "multiple": config.multiple,
            "width": width,
            "height": height,
        },
        HEAD: _head(declaration),
        "architecture": {"depth": to_dict(config)},
        "reference_focal": config.reference_focal,
        "depth_range": [config.min_depth, config.max_depth],
        "steps": 0,
        "metrics": {},
        "parent": None,
    }
    return write_model_folder(destination, files, content)


def _head(declaration: GraphDeclaration) -> dict[str, Any]:
    if declaration.head == METRIC:
        return {"kind": METRIC}
    return {"kind": declaration.head, "A": declaration.A, "B": declaration.B}
