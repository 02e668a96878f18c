# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from diagnostic_msgs.msg import DiagnosticStatus

from sfm_depth_ros.ros.diagnostics import Diagnosis, as_text, to_status


@pytest.mark.parametrize(
    ("diagnosis", "level"),
    [
        (Diagnosis(True, "publishing"), DiagnosticStatus.OK),
        (Diagnosis(False, "no images"), DiagnosticStatus.WARN),
        (Diagnosis(False, "no model", is_error=True), DiagnosticStatus.ERROR),
    ],
)
def test_levels(diagnosis, level):
    status = to_status("depth_node", diagnosis)
    assert (status.level, status.message) == (level, diagnosis.message)


def test_facts_are_keys_and_texts():
    facts = {"received": 3, "latency_ms_p50": 12.3456789, "reason": None, "ready": True}
    status = to_status("depth_node", Diagnosis(True, "", facts))
    assert {value.key: value.value for value in status.values} == {
        "received": "3",
        "latency_ms_p50": "12.3457",
        "reason": "",
        "ready": "true",
    }


def test_large_counts_keep_all_digits():
    assert as_text(123456789) == "123456789"
