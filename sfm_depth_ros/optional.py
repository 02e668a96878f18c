# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The only place that asks whether an optional dependency is installed."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.errors import MissingDependencyError

EXTRAS = {
    **{module: kind.extra for kind in ENGINES.values() for module in kind.modules},
    "onnx": "train",
    "onnxscript": "train",
    "rosbags": "bags",
    "matplotlib": "demo",
    "PIL": "import",
    "timm": "timm",
    "tqdm": "demo",
    "tensorboard": "tensorboard",
}


def is_available(module: str) -> bool:
    """Whether ``module`` can be found, without importing it."""
    return importlib.util.find_spec(module) is not None


def require(module: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: Top-level module name, for example ``"onnxruntime"``.

    Returns:
        The imported module.

    Raises:
        MissingDependencyError: The module is absent, or its compiled part does not fit the other
            packages; the message holds the command to type.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:  # torchvision raises all three
        extra = EXTRAS.get(module.partition(".")[0], "all")
        raise MissingDependencyError(
            f"{module} is needed here and cannot be imported ({error}); "
            f"type: pip install 'sfm_depth_ros[{extra}]'"
        ) from error
