# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Table of inference engines, read by options, launch files, commands, documents and setup.py.

To add an engine, write a class that extends :class:`~sfm_depth_ros.engines.base.Engine` and add a
row here. This file imports nothing but the standard library: setup.py runs it by its path.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineKind:
    """One engine."""

    implementation: str  # Class as `module:Class`; it is built from an `EngineRequest`
    modules: tuple[str, ...]  # Python modules that it can run with; the first one found is used
    extra: str  # Extra of this package that installs one of them
    requirements: tuple[str, ...]  # What the extra installs for it
    precisions: tuple[str, ...]  # What `precision: auto` tries, in this order
    gpu_precisions: tuple[str, ...] = ()  # The same beside an NVIDIA GPU; empty = no difference
    needs_gpu: bool = False  # Whether it runs on an NVIDIA GPU alone
    # Whether building takes up to minutes: it is built in the background, and taken without a
    # measurement where it runs. Its class takes `progress` and compares itself with the check
    # frames (`Engine.error`)
    builds_plan: bool = False
    # Whether importing it takes seconds, so that it is only tried where no other engine serves;
    # not beside a GPU
    is_last_resort: bool = False


# By the name of `engine:`, in the order in which they are tried.
ENGINES: dict[str, EngineKind] = {
    "tensorrt": EngineKind(
        implementation="sfm_depth_ros.engines.tensorrt.engine:TensorRtEngine",
        modules=("tensorrt", "tensorrt_rtx"),
        extra="tensorrt",
        # tensorrt 10 or 11, where it is installed, is used before it; a Jetson brings its own.
        requirements=("tensorrt-rtx; platform_machine == 'x86_64'",),
        precisions=("fp16", "fp32"),
        needs_gpu=True,
        builds_plan=True,
    ),
    "openvino": EngineKind(
        implementation="sfm_depth_ros.engines.openvino_engine:OpenVinoEngine",
        modules=("openvino",),
        extra="cpu",
        requirements=("openvino",),
        precisions=("fp32", "bf16", "int8"),
    ),
    "onnxruntime": EngineKind(
        implementation="sfm_depth_ros.engines.onnxruntime_engine:OnnxRuntimeEngine",
        modules=("onnxruntime",),
        extra="cpu",
        requirements=("onnxruntime",),
        precisions=("fp32", "int8"),
    ),
    "torch": EngineKind(
        implementation="sfm_depth_ros.engines.torch_engine:TorchEngine",
        modules=("torch",),
        extra="train",
        requirements=("torch",),
        precisions=("fp32",),
        gpu_precisions=("fp32", "fp16"),
        is_last_resort=True,
    ),
}
