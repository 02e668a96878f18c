# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One image's way through depth_node: a camera with Fast DDS defaults, 1280x720, 20 Hz."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sfm_depth_ros.cli.demonstration.monitor import Monitor
from sfm_depth_ros.cli.demonstration.processes import (
    PROFILE_VARIABLES,
    NodeProcess,
    node_arguments,
    ros_environment,
)
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.networks.model_folder import ModelFolder

WARM_UP, COUNT, RATE_HZ = 100, 100, 20.0
START_WITHIN_S = 60.0
STAGES = ("receive", "convert", "preprocess", "wait", "tensor", "depth", "motion", "output",
          "publish")


def measure_frame_path(folder: ModelFolder, scratch: Path, threads: int) -> dict[str, Any]:
    """Run depth_node, send images, read what it says of itself.

    Args:
        folder: Model to serve.
        scratch: Folder for logs.
        threads: CPU threads of the engine.

    Returns:
        ``engine_ms_p50`` (both networks), ``total_ms_p50`` (entry of the callback to return of the
        last publish), ``overhead_ratio`` = total / engine, and how many images arrived.
    """
    environment = ros_environment(scratch / "ros")
    parameters = {"model": str(folder.path), "models_dir": str(scratch / "models"),
                  "engine_threads": threads}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        NodeProcess("demo_monitor", [], environment, scratch / "monitor.log", **pipes) as eyes,
        NodeProcess("depth_node", node_arguments(parameters, {}), environment,
                    scratch / "depth_node.log") as depth_node,
    ):
        assert eyes.process.stdin is not None and eyes.process.stdout is not None
        monitor = Monitor(eyes.process.stdout, eyes.process.stdin)
        monitor.wait_until(lambda state: state.states.get("depth_node") == "active",
                           START_WITHIN_S, "activation of depth_node")
        before = _send(WARM_UP, environment, monitor)  # the engine is built meanwhile
        after = _send(COUNT, environment, monitor)
        depth_node.stop()
    return _figures(before, after)


def _send(count: int, environment: dict[str, str], monitor: Monitor) -> dict[str, Any]:
    """Be a camera driver that knows nothing of us; then read the newest diagnostics."""
    driver = {name: value for name, value in environment.items() if name not in PROFILE_VARIABLES}
    command = [sys.executable, "-m", "sfm_depth_ros.nodes.bench_images", "send",
               "--count", str(count), "--rate", str(RATE_HZ)]
    done = subprocess.run(command, env=driver, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SfmDepthError(f"the camera failed: {done.stderr.strip().splitlines()[-1]}")
    time.sleep(2.5)  # two rounds of diagnostics
    return dict(monitor.state.depth)


def _figures(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    if not after.get("latency_ms_p50"):
        raise SfmDepthError(f"depth_node published nothing: {after.get('reason')}")
    engine_ms, total_ms = after["engine_ms_p50"], after["latency_ms_p50"]
    return {
        "engine_ms_p50": engine_ms,
        "total_ms_p50": total_ms,
        "total_ms_p95": after["latency_ms_p95"],
        "overhead_ratio": total_ms / engine_ms,
        "overhead_ms": total_ms - engine_ms,
        "stages_ms_p50": {stage: after[f"{stage}_ms_p50"] for stage in STAGES},
        "sent": COUNT,
        "received": after["received"] - before["received"],
        "dropped": after["dropped"] - before["dropped"],
        "memory_mb": after["memory_mb"],
        "engine": after.get("engine_depth"),
    }
