# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every network parses and builds with TensorRT-RTX at fp32 and fp16, without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfm_depth_ros.config.networks import DEPTH_NETWORKS, POSE_NETWORKS
from tools import builds
from tools.builds import TABLE, Built, build_networks
from tools.network_table import NETWORKS

pytest.importorskip("onnxruntime")
SMALL = {("depth", "small"), ("pose", "small")}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id="-".join(name), marks=[] if name in SMALL else [pytest.mark.slow])
        for name in NETWORKS
    ],
)
def test_it_builds_at_both_precisions(name: tuple[str, str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt is not installed")
    single, half = build_networks((name,), image_hw=(64, 96))
    assert (single.precision, half.precision) == ("fp32", "fp16")
    assert single.network == half.network == " ".join(name)
    weights = 4 * single.parameters
    assert 0.5 * weights < single.graph_bytes, "heads that only training reads are left out"
    assert 0.45 * single.graph_bytes < half.graph_bytes < 0.6 * single.graph_bytes
    assert single.plan_bytes > 0.9 * single.graph_bytes
    assert single.seconds > 0 and half.seconds > 0


def test_no_network_is_left_out() -> None:
    assert set(NETWORKS) == {("depth", name) for name in DEPTH_NETWORKS} | {
        ("pose", name) for name in POSE_NETWORKS
    }


def test_rows_are_put_in_order_and_others_stay() -> None:
    def row(network: str, seconds: float = 1.0) -> str:
        return Built(network, "fp32", 1_400_000, 5_500_000, 6_600_000, seconds).row()

    document = "before\n<!-- builds -->\n<!-- end -->\nafter <!-- end -->\n"
    document = TABLE.with_rows(document, {"pose small": row("pose small")})
    document = TABLE.with_rows(document, {"depth resnet18": row("depth resnet18")})
    document = TABLE.with_rows(document, {"pose small": row("pose small", 2.5)})
    lines = document.splitlines()
    assert lines[0] == "before" and lines[-1] == "after <!-- end -->"
    assert lines[4:6] == [
        "| depth resnet18 | fp32 | 1.4 M | 5.5 MB | 6.6 MB | 1.00 s |",
        "| pose small | fp32 | 1.4 M | 5.5 MB | 6.6 MB | 2.50 s |",
    ]
    assert lines[1] == "<!-- builds -->" and lines[6] == "<!-- end -->"


def test_unknown_networks_are_no_success(tmp_path: Path) -> None:
    assert builds.main(tmp_path / "engines.md", ["depth unheard_of"]) == 1
