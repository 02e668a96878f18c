# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two trainers on one machine: apart by namespace, refused on one folder."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.ros


def _wait_for(node, text, seconds=40.0):
    end = time.monotonic() + seconds
    while text not in node.text:
        assert node.process.poll() is None and time.monotonic() < end, node.text
        time.sleep(0.05)


def test_namespaces_part_them_and_one_folder_is_refused(
    start_node, tiny_model, tmp_path, monkeypatch, namespace
):
    monkeypatch.setenv("HOME", str(tmp_path))
    home = tmp_path / ".ros/sfm_depth_ros"
    first = start_node("trainer_node", model=tiny_model.path)
    _wait_for(first, "activate: done")
    other = start_node(
        "trainer_node", options=["--ros-args", "-r", "__ns:=/other", "--"], model=tiny_model.path
    )
    _wait_for(other, "activate: done")
    assert (home / namespace.strip("/") / "models").is_dir()
    assert (home / "other" / "training").is_dir()
    third = start_node("trainer_node", ["__node:=third"], model=tiny_model.path)
    _wait_for(third, "configure failed")
    assert f"is used by {namespace}/trainer_node (process {first.process.pid})" in third.text
    assert "Traceback" not in third.text
    for node in (first, other, third):
        assert node.interrupt()[0] == 0
    again = start_node("trainer_node", ["__node:=third"], model=tiny_model.path)
    _wait_for(again, "activate: done")
    again.interrupt()
