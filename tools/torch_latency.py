# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Latency of every network in the torch engine on a GPU.

``python -m tools.torch_latency docs/engines.md`` measures on the first GPU and rewrites the table
between ``<!-- torch latency -->`` and ``<!-- end -->``. Images go in and outputs come out through
pinned host memory, as in the node.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfm_depth_ros.engines.graphs.export import channels
from sfm_depth_ros.engines.torch_engine import PRECISIONS, runner
from tools.network_table import IMAGE_HW, NETWORKS, NetworkTable, fresh_network

WARM_UP, RUNS = 30, 200
TABLE = NetworkTable(
    "torch latency",
    "| network | precision | p50 | p99 |\n|---|---|---|---|\n",
)


def measure(kind: str, name: str, precision: str, device: torch.device) -> str:
    """One row: milliseconds at the median and the 99th percentile of 200 images at 640x192."""
    network: Any = fresh_network(kind, name)
    multiple = getattr(network, "multiple", 32)
    height, width = (multiple * round(side / multiple) for side in IMAGE_HW)
    shape = (1, channels(network, kind), height, width)
    run = runner(network, shape, device, PRECISIONS["cuda"][precision])
    image = np.random.default_rng(0).random(shape, np.float32)
    seconds = []
    for _ in range(WARM_UP + RUNS):
        start = time.perf_counter()
        run(image)
        seconds.append(time.perf_counter() - start)
    middle, late = 1e3 * np.percentile(seconds[WARM_UP:], (50, 99))
    return f"| {kind} {name} | {precision} | {middle:.2f} ms | {late:.2f} ms |\n"


def main(document: Path, names: list[str]) -> int:
    """Measure, and rewrite the document after every network."""
    if not torch.cuda.is_available():
        sys.stderr.write("there is no CUDA device: run this on a machine with one\n")
        return 1
    device = torch.device("cuda")
    for key in NETWORKS:
        if names and " ".join(key) not in names:
            continue
        try:
            rows = "".join(measure(*key, precision, device) for precision in ("fp32", "fp16"))
        except RuntimeError as error:
            sys.stderr.write(f"{' '.join(key)}: {str(error).splitlines()[0]}\n")
            continue
        text = document.read_text(encoding="utf-8")
        document.write_text(TABLE.with_rows(text, {" ".join(key): rows}), encoding="utf-8")
        sys.stdout.write(rows)
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
