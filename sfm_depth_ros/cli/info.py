# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth info``: what is installed, which engines run, which model a node would take."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib import metadata
from typing import Any

from sfm_depth_ros import __version__
from sfm_depth_ros.cli.arguments import output_file
from sfm_depth_ros.config.schema import NodeConfig
from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.errors import SfmDepthError

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "safetensors",
    "onnx",
    *(module.replace("_", "-") for kind in ENGINES.values() for module in kind.modules),
    "rosbags",
    "ros-rclpy",
    "ros-rmw-fastrtps-cpp",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--json", type=output_file, metavar="FILE", help="write the facts here as well"
    )
    parser.add_argument("--models-dir", default=NodeConfig().models_dir, help="folder to look in")


def run(options: argparse.Namespace) -> int:
    """Print the facts."""
    facts = collect(options.models_dir)
    for title, section in facts.items():
        print(title)
        for name, value in section.items():
            print(f"  {name:24} {value}")
    if options.json:
        options.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return 0


def collect(models_dir: str) -> dict[str, dict[str, Any]]:
    """Facts by section: package, versions, engines, devices, model."""
    return {
        "package": {
            "sfm_depth_ros": __version__,
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        },
        "versions": {name: _version(name) for name in PACKAGES},
        "engines": _engines(),
        "devices": _devices(),
        "tensorrt": _tensorrt(),
        "model": _model(models_dir),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _engines() -> dict[str, str]:
    from sfm_depth_ros.engines.building import available_engines

    return dict(available_engines())


def _devices() -> dict[str, str]:
    from sfm_depth_ros.optional import is_available, require

    devices = {}
    if is_available("openvino"):
        core = require("openvino").Core()
        for name in core.available_devices:
            devices[f"openvino {name}"] = str(core.get_property(name, "FULL_DEVICE_NAME"))
    if is_available("torch"):
        cuda = require("torch").cuda
        for index in range(cuda.device_count()):
            devices[f"torch cuda:{index}"] = cuda.get_device_name(index)
    return devices


def _tensorrt() -> dict[str, str]:
    """TensorRT runtime and GPU that would be used, and disk space of the cached plans."""
    from sfm_depth_ros.engines.tensorrt.cuda_driver import load_cuda
    from sfm_depth_ros.engines.tensorrt.plan_cache import PlanCache
    from sfm_depth_ros.engines.tensorrt.runtime import installed_module, installed_version

    cache = PlanCache()
    facts = {
        "runtime": f"{installed_module()} {installed_version()}" if installed_module() else "none",
        "cache of plans": f"{cache.size_bytes() / 1e6:.1f} MB in {cache.folder}",
    }
    try:
        cuda = load_cuda()
        free, total = cuda.memory_bytes()
    except SfmDepthError as error:
        return facts | {"GPU": f"none: {error}"}
    major, minor = cuda.capability
    return facts | {
        "GPU": f"{cuda.name}, compute capability {major}.{minor}",
        "driver": f"CUDA {cuda.version}",
        "memory": f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free",
    }


def _model(models_dir: str) -> dict[str, Any]:
    from sfm_depth_ros.model_folder.history import resolve_model
    from sfm_depth_ros.share import SHIPPED_MODEL, share_path

    try:
        model = resolve_model("", models_dir, share_path(SHIPPED_MODEL))
    except SfmDepthError as error:
        return {"error": str(error)}
    described = {"id": model.model_id, "path": str(model.path), "width": model.width}
    return described | {name: model.metadata[name] for name in ("created", "licence", "steps")}
