# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model's engines alone, for ``sfm-depth bench``: run each time that an image has arrived.

What depth_node adds is measured against this: the same engines, process by process as there, with
the same images coming through DDS and pushing the networks out of the caches; nothing else is
done with an image. Prints one JSON line when the engines are ready, and one at its end.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from statistics import median
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image

from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.engines.factory import create_engine
from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.ros import qos

QUIET_S = 2.0  # nothing came for so long: the camera has ended
PATIENCE_S = 30.0  # until the first


def measure(engines: dict[str, Engine], warm_up: int) -> dict[str, Any]:
    """Run the engines one after the other for every image.

    Args:
        engines: By network.
        warm_up: Images that do not count.

    Returns:
        Median milliseconds of each network and of both.
    """
    node = Node("bench_engines")
    rng = np.random.default_rng(0)
    inputs = {name: rng.random(one.input_shape, np.float32) for name, one in engines.items()}
    rows: list[list[float]] = []

    def run(message: Image) -> None:
        times = [time.perf_counter()]
        for name, engine in engines.items():
            engine.infer(inputs[name])
            times.append(time.perf_counter())
        rows.append([*(1e3 * np.diff(times)), 1e3 * (times[-1] - times[0])])

    node.create_subscription(Image, "image", run, qos.image_input())
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    deadline, count = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < deadline:
        rclpy.spin_once(node, timeout_sec=0.1)
        if len(rows) > count:
            count, deadline = len(rows), time.monotonic() + QUIET_S
    columns = zip(*rows[warm_up:], strict=True)
    medians = dict(zip([*engines, "both"], map(median, columns), strict=False))
    return {"images": len(rows), **{f"{name}_ms_p50": ms for name, ms in medians.items()}}


def main() -> int:
    """Build the engines, measure, print the figures."""
    parser = argparse.ArgumentParser(prog="bench_engines")
    parser.add_argument("model", help="model folder")
    parser.add_argument("--hw", type=int, nargs=2, required=True, help="size of the image")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=0, help="images that do not count")
    options = parser.parse_args()
    folder = read_model_folder(options.model)
    engines = {
        network: create_engine(folder, network, tuple(options.hw), options.engine,
                               options.precision, options.threads)
        for network in folder.networks
    }  # fmt: skip
    rclpy.init()
    sys.stdout.write(json.dumps(measure(engines, options.warm_up)) + "\n")
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
