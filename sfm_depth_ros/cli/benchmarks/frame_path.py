# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame path through depth_node: a camera with Fast DDS defaults, 1280x720, 20 Hz."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.cli.demonstration.monitor import Monitor, running_monitor
from sfm_depth_ros.cli.demonstration.processes import (
    PROFILE_VARIABLES,
    NodeProcess,
    node_arguments,
    ros_environment,
)
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder

WARM_UP, COUNT, RATE_HZ = 100, 200, 20.0  # depth_node's figures are of its newest 200 images
WIDTH, HEIGHT = 1280, 720  # of ros/bench_images
START_WITHIN_S = 60.0
STAGES = (
    "receive",
    "convert",
    "preprocess",
    "wait",
    "tensor",
    "depth",
    "motion",
    "output",
    "publish",
)
NETWORKS = ("depth", "motion")


@dataclass(frozen=True)
class PathSetting:
    """Setting of the measured depth_node."""

    folder: ModelFolder  # Model to serve
    threads: int = 1  # `engine_threads`
    precision: str = "fp32"  # `precision`
    engine: str = "auto"  # `engine`
    input_width: int = 0  # Width of the network's image in pixels; 0 = the model's own
    pipelined: bool = False  # `pipelined`
    image_transport: str = "raw"  # `image_transport`
    rate_hz: float = RATE_HZ  # Images a second


def measure_frame_path(setting: PathSetting, scratch: Path) -> dict[str, Any]:
    """Run depth_node, send images, read its diagnostics; then run its engines alone.

    Args:
        setting: How the node is set.
        scratch: Folder for logs.

    Returns:
        ``engine_ms_p50`` (the bare engines of both networks one after the other, run when an
        image of the same camera has arrived), ``depth_engine_ms_p50`` (the depth network's
        alone), ``total_ms_p50`` (entry of the callback to return of the last publish),
        ``overhead_ratio`` = total / engine, ``networks_ms_p50`` (both networks in the node, where
        they run side by side), ``overhead_ms`` = total - networks, ``stages_ms_p50``, memory, and
        how many images arrived.
    """
    environment = ros_environment(scratch / "ros")
    parameters = {
        "model": str(setting.folder.path),
        "models_dir": str(scratch / "models"),
        "engine": setting.engine,
        "precision": setting.precision,
        "engine_threads": setting.threads,
        "input_width": setting.input_width,
        "pipelined": setting.pipelined,
        "image_transport": setting.image_transport,
    }
    with (
        running_monitor(environment, scratch / "monitor.log") as monitor,
        NodeProcess(
            "depth_node", node_arguments(parameters, {}), environment, scratch / "depth_node.log"
        ) as depth_node,
    ):
        monitor.wait_until(
            lambda state: state.states.get("depth_node") == "active",
            START_WITHIN_S,
            "activation of depth_node",
        )
        before = _send(WARM_UP, setting, environment, monitor)  # the engine is built meanwhile
        after = _send(COUNT, setting, environment, monitor)
        depth_node.stop()
    figures = _figures(before, after, bare_engines_ms(setting, environment))
    return {**figures, "published_per_s": figures["published"] * setting.rate_hz / COUNT}


def _send(
    count: int, setting: PathSetting, environment: dict[str, str], monitor: Monitor
) -> dict[str, Any]:
    """Send images, then read the newest diagnostics."""
    _be_a_camera(count, environment, setting.rate_hz, setting.image_transport)
    time.sleep(2.5)  # two rounds of diagnostics
    return dict(monitor.state.depth)


def _be_a_camera(
    count: int, environment: dict[str, str], rate_hz: float = RATE_HZ, transport: str = "raw"
) -> None:
    """Send images as a camera driver that knows nothing of us."""
    driver = {name: value for name, value in environment.items() if name not in PROFILE_VARIABLES}
    command = [
        sys.executable,
        "-m",
        "sfm_depth_ros.ros.bench_images",
        "send",
        "--count",
        str(count),
        "--rate",
        str(rate_hz),
        "--transport",
        transport,
    ]
    done = subprocess.run(command, env=driver, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SfmDepthError(f"the camera failed: {last_line(done.stderr)}")


def bare_engines_ms(setting: PathSetting, environment: dict[str, str]) -> dict[str, float]:
    """Medians of the engines by themselves, with the same images coming and no node around."""
    camera = CameraModel.from_intrinsics(Intrinsics.from_hfov(80.0, WIDTH, HEIGHT))
    folder = setting.folder
    width = setting.input_width or folder.width
    size = Preprocessor(camera, NetworkInput(width, multiple=folder.multiple)).input_hw
    command = [
        sys.executable,
        "-m",
        "sfm_depth_ros.ros.bench_engines",
        str(setting.folder.path),
        "--hw",
        *map(str, size),
        "--engine",
        setting.engine,
        "--precision",
        setting.precision,
        "--threads",
        str(setting.threads),
        "--warm-up",
        str(COUNT // 4),
    ]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as alone:
        assert alone.stdout is not None
        if alone.stdout.readline():  # it is ready
            _be_a_camera(COUNT, environment)
        output, errors = alone.communicate()
    if alone.returncode != 0 or "both_ms_p50" not in (figures := json.loads(output)):
        raise SfmDepthError(f"the engines by themselves failed: {last_line(errors)}")
    return {name: float(value) for name, value in figures.items()}


def last_line(text: str) -> str:
    """Last line of a process's output."""
    return (text.strip().splitlines() or ["no output"])[-1]


def _figures(
    before: dict[str, Any], after: dict[str, Any], alone: dict[str, float]
) -> dict[str, Any]:
    if not after.get("latency_ms_p50"):
        raise SfmDepthError(f"depth_node published nothing: {after.get('reason')}")
    stages_ms = {stage: after[f"{stage}_ms_p50"] for stage in STAGES}
    networks_ms, total_ms = after["engine_ms_p50"], after["latency_ms_p50"]
    return {
        "engine_ms_p50": alone["both_ms_p50"],
        "depth_engine_ms_p50": alone["depth_ms_p50"],
        "total_ms_p50": total_ms,
        "overhead_ratio": total_ms / alone["both_ms_p50"],
        "networks_ms_p50": networks_ms,
        "overhead_ms": total_ms - networks_ms,
        "total_ms_p95": after["latency_ms_p95"],
        "stages_ms_p50": stages_ms,
        "sent": COUNT,
        "received": after["received"] - before["received"],
        "dropped": after["dropped"] - before["dropped"],
        "published": after["published"] - before["published"],
        "memory_mb": after["memory_mb"],
        "engines": {name: after.get(f"engine_{name}") for name in ("depth", "pose")},
    }
