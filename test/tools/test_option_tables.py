# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from sfm_depth_ros.config.schema import DepthNodeConfig, NodeConfig, ObjectiveConfig
from tools.option_tables import option_table, update

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tables_are_those_of_the_code(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == update(text), "type: make docs"


def test_the_nodes_pages_have_their_tables() -> None:
    depth, trainer = (
        (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("depth_node", "trainer_node")
    )
    assert "| `base_to_camera` |" in depth
    assert "| `engine` | `auto` | auto, tensorrt, openvino, onnxruntime, torch |" in depth
    assert "| `training.batch_size` |" in trainer


def test_row_holds_everything() -> None:
    table = option_table(ObjectiveConfig)
    row = next(line for line in table.splitlines() if "velocity_weight" in line)
    assert row == "| `velocity_weight` | `0.3` | 0 to 100 | yes | weight of the velocity loss |"


def test_options_of_another_table_are_left_out() -> None:
    table = option_table(DepthNodeConfig, without=NodeConfig)
    assert "`precision`" in table
    assert "`models_dir`" not in table
