# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every network of the package, exported and built into a TensorRT plan; no GPU is needed.

``python -m tools.builds docs/engines.md`` measures and rewrites the table
between ``<!-- builds -->`` and ``<!-- end -->``; names of networks after the file measure these
alone and keep the other rows.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfm_depth_ros.engines.graphs.agreement import check_agreement, open_session
from sfm_depth_ros.engines.graphs.constants import fix_input_shape, parse_graph
from sfm_depth_ros.engines.graphs.export import PRECISIONS, channels, export_onnx
from sfm_depth_ros.engines.graphs.precision import to_half
from sfm_depth_ros.engines.tensorrt.builder import BuiltPlan, PlanRequest, build_plan
from sfm_depth_ros.engines.tensorrt.runtime import TensorRt, load_tensorrt
from sfm_depth_ros.errors import SfmDepthError
from tools.network_table import (
    IMAGE_HW,
    NETWORKS,
    NetworkTable,
    fresh_network,
)

CAPABILITY = (8, 6)  # of the plans that are built on a machine without a GPU
TABLE = NetworkTable(
    "builds",
    "| network | precision | parameters | graph | plan | parse and build (processor time) |\n"
    "|---|---|---|---|---|---|\n",
)


@dataclass(frozen=True)
class Built:
    """One network at one precision, built."""

    network: str  # Kind and name, as in `depth packnet01`
    precision: str  # `"fp32"` or `"fp16"`
    parameters: int  # Numbers in the network
    graph_bytes: int  # Size of the `.onnx`
    plan_bytes: int  # Size of the plan
    seconds: float  # Processor time of parsing and building, all threads together

    def row(self) -> str:
        """As a row of the table."""
        return (
            f"| {self.network} | {self.precision} | {self.parameters / 1e6:.1f} M | "
            f"{self.graph_bytes / 1e6:.1f} MB | {self.plan_bytes / 1e6:.1f} MB | "
            f"{self.seconds:.2f} s |\n"
        )


def build_networks(
    names: tuple[tuple[str, str], ...] = NETWORKS, image_hw: tuple[int, int] = IMAGE_HW
) -> Iterator[Built]:
    """Export and build networks with random weights, each at fp32 and fp16.

    Args:
        names: Kind and name of each.
        image_hw: Height and width of the image.

    Raises:
        EngineError: TensorRT refuses one, or its graph's outputs differ from torch's.
    """
    runtime = load_tensorrt()
    for kind, name in names:
        network = fresh_network(kind, name)
        shape = (1, channels(network, kind), *image_hw)
        count = sum(parameter.numel() for parameter in network.parameters())
        single = export_onnx(network, kind)  # which compares it with torch
        for precision in PRECISIONS:
            content = single if precision == "fp32" else _half(single, shape[1])
            started = time.process_time()  # other processes disturb it little
            built = build_graph(runtime, content, shape)
            seconds = time.process_time() - started
            yield Built(f"{kind} {name}", precision, count, len(content), len(built.plan), seconds)
            gc.collect()  # graphs of half a gigabyte


def build_graph(runtime: TensorRt, content: bytes, shape: tuple[int, ...]) -> BuiltPlan:
    """Build a graph for one shape, through the code that a GPU machine runs."""
    proto = parse_graph(content)
    fix_input_shape(proto, shape)
    capabilities = (CAPABILITY,) if runtime.builds_ahead else ()
    return build_plan(runtime, PlanRequest(proto.SerializeToString(), (shape,), capabilities))


def _half(single: bytes, image_channels: int) -> bytes:
    """The graph at fp16, compared with the one at fp32."""
    proto = parse_graph(single)
    to_half(proto)
    content: bytes = proto.SerializeToString()
    session = open_session(single)
    check_agreement(
        content, lambda image: session.run(None, {"image": image})[0], image_channels, "fp16"
    )
    return content


def main(document: Path, names: list[str]) -> int:
    """Measure, and rewrite the document after every network."""
    wanted = [key for key in NETWORKS if not names or " ".join(key) in names]
    failures = 0
    for key in wanted:
        started = time.perf_counter()
        try:
            rows = "".join(built.row() for built in build_networks((key,)))
        except SfmDepthError as error:
            sys.stderr.write(f"{' '.join(key)}: {error}\n")
            failures += 1
            continue
        text = document.read_text(encoding="utf-8")
        document.write_text(TABLE.with_rows(text, {" ".join(key): rows}), encoding="utf-8")
        sys.stdout.write(f"{rows}({time.perf_counter() - started:.0f} s with the export)\n")
        sys.stdout.flush()
    return 1 if failures or not wanted else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
