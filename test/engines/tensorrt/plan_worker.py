# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A process that wants one plan: ``plan_worker.py FOLDER BUILDS SECONDS MODE``.

A build takes SECONDS, or until a file ``release`` lies beside BUILDS.

It writes a line into the file BUILDS when it begins to build, and prints what it got. MODE
``stand_in`` sleeps for SECONDS instead of building; ``tensorrt_rtx`` builds a small graph.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from sfm_depth_ros.engines.tensorrt.plan_cache import PlanCache, PlanKey, StoredPlan

KEY = PlanKey(
    "tensorrt 11.3.0", "Stand-in GPU (8.9)", "13.0", "fp32", ((1, 3, 32, 32),), "graph", "weights"
)


def _tensorrt_rtx() -> bytes:
    import onnx
    from onnx import TensorProto, helper

    from sfm_depth_ros.engines.tensorrt.builder import PlanRequest, build_plan
    from sfm_depth_ros.engines.tensorrt.runtime import load_tensorrt

    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 32, 32))
        for name in ("image", "depth")
    ]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["depth"])], "relu", value[:1], value[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    onnx.checker.check_model(model)
    request = PlanRequest(model.SerializeToString(), ((1, 3, 32, 32),), ((8, 6),))
    return build_plan(load_tensorrt(), request).plan


def main(folder: Path, builds: Path, seconds: float, mode: str) -> None:
    """Open the plan."""

    def build() -> StoredPlan:
        with open(builds, "a", encoding="utf-8") as stream:
            stream.write(f"{os.getpid()}\n")
        released, deadline = builds.parent / "release", time.monotonic() + seconds
        while time.monotonic() < deadline and not released.exists():
            time.sleep(0.01)
        return StoredPlan(b"a plan" if mode == "stand_in" else _tensorrt_rtx(), "weights")

    plan = PlanCache(folder).open(KEY, build, lambda stored: stored.plan)
    sys.stdout.write(f"{plan[:6]!r} {len(plan)}\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
