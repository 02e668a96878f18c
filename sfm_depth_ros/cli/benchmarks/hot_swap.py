# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""New models into a running depth_node, again and again, while images come at 10 Hz."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sfm_depth_ros.cli.demonstration.monitor import LiveState, Monitor, running_monitor
from sfm_depth_ros.cli.demonstration.processes import (
    NodeProcess,
    node_arguments,
    ros_environment,
)
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.model_folder.folder import ModelFolder, write_model_folder
from sfm_depth_ros.model_folder.loading import load_network
from sfm_depth_ros.model_folder.metadata import CHECK_FRAMES, MODEL_JSON

SWAPS, RATE_HZ = 100, 10.0
START_WITHIN_S, SWAP_WITHIN_S = 90.0, 60.0
COUNTS = ("received", "published", "dropped", "failed", "lost", "stamp_gaps")


def measure_hot_swap(
    folder: ModelFolder, scratch: Path, options: dict[str, Any], swaps: int = SWAPS
) -> dict[str, Any]:
    """Swap two models ``swaps`` times, then offer one whose outputs are wrong.

    Args:
        folder: Model to serve.
        scratch: Folder for logs and models.
        options: ``engine``, ``precision``, ``engine_threads`` of depth_node.
        swaps: How often.

    Returns:
        Counts of images from the first swap to the last, ``update_s_p50`` from the message to the
        first image that may use the new weights, and ``wrong_refused``.
    """
    models = two_models(folder, scratch / "models")
    serving, other = models[swaps % 2], models[(swaps + 1) % 2]
    wrong = wrong_model(other, serving, scratch / "models")
    environment = ros_environment(scratch / "ros")
    parameters = {"model": str(models[0].path), "models_dir": str(scratch / "models"), **options}
    with (
        running_monitor(environment, scratch / "monitor.log") as monitor,
        NodeProcess(
            "depth_node", node_arguments(parameters, {}), environment, scratch / "depth_node.log"
        ) as node,
        _camera(environment),
    ):
        monitor.wait_until(
            lambda state: _fact(state, "published") >= 10, START_WITHIN_S, "the first depth images"
        )
        before = dict(monitor.state.depth)
        for index in range(swaps):
            monitor.offer(models[(index + 1) % 2].path)
            _wait_for_swaps(monitor, index + 1)
        after = dict(monitor.state.depth)
        is_refused = _is_refused(monitor, wrong, serving)
        node.stop()
    counts = {name: int(after[name] - before[name]) for name in COUNTS}
    return {
        "swaps": swaps,
        **counts,
        "update_s_p50": after["model_update_s_p50"],
        "wrong_refused": is_refused,
        "latency_ms_p50": after["latency_ms_p50"],
        "latency_ms_p95": after["latency_ms_p95"],
        "memory_mb": after["memory_mb"],
        "engine": after.get("engine_depth"),
    }


def _wait_for_swaps(monitor: Monitor, count: int) -> None:
    monitor.wait_until(
        lambda state: _fact(state, "models_loaded") >= count, SWAP_WITHIN_S, f"swap {count}"
    )


def _is_refused(monitor: Monitor, wrong: ModelFolder, serving: ModelFolder) -> bool:
    """Offer a wrong model; whether the serving one stays."""
    monitor.offer(wrong.path)
    monitor.wait_until(
        lambda state: _fact(state, "models_refused") >= 1,
        SWAP_WITHIN_S,
        "the refusal of a wrong model",
    )
    return bool(monitor.state.depth.get("model_id") == serving.model_id)


def two_models(folder: ModelFolder, models_dir: Path) -> tuple[ModelFolder, ModelFolder]:
    """The model, and one whose depths are 10 % larger, in ``models_dir``."""
    import torch

    from sfm_depth_ros.model_folder.saving import save_model

    networks: list[Any] = [load_network(folder, kind) for kind in ("depth", "pose")]
    frames = folder.check_frames()
    options: dict[str, Any] = {
        "metadata": {"steps": 0, "metrics": {}},
        "parent": folder,
        "check_images": (torch.from_numpy(frames.image), torch.from_numpy(frames.pair)),
    }
    first = save_model(models_dir, *networks, name="first", **options)
    with torch.no_grad():
        networks[0].log_scale += 0.0953
    second = save_model(models_dir, *networks, name="second", **options)
    return first, second


def wrong_model(networks: ModelFolder, outputs: ModelFolder, models_dir: Path) -> ModelFolder:
    """One model's networks with another one's outputs: whole, hashed, and wrong."""
    files = {
        name: (networks.path / name).read_bytes()
        for name in networks.metadata["files"]
        if name != MODEL_JSON
    }
    files[CHECK_FRAMES] = (outputs.path / CHECK_FRAMES).read_bytes()
    metadata = {
        key: value
        for key, value in networks.metadata.items()
        if key not in ("files", "created", "format_version")
    }
    return write_model_folder(models_dir / "wrong", files, metadata)


@contextlib.contextmanager
def _camera(environment: dict[str, str]) -> Iterator[None]:
    """Images until the end, whatever it is."""
    command = [
        sys.executable,
        "-m",
        "sfm_depth_ros.ros.bench_images",
        "send",
        "--count",
        "1000000",
        "--rate",
        str(RATE_HZ),
    ]
    camera = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        camera.terminate()
        camera.wait()


def _fact(state: LiveState, name: str) -> float:
    value = state.depth.get(name)
    if state.depth.get("reason") and str(state.depth["reason"]).startswith("no model serves"):
        raise SfmDepthError(str(state.depth["reason"]))
    return float(value) if isinstance(value, (int, float)) else 0.0
