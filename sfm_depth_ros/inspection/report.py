# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All rules on all facts."""

from __future__ import annotations

from sfm_depth_ros.inspection.camera_rules import camera_findings
from sfm_depth_ros.inspection.facts import Facts
from sfm_depth_ros.inspection.finding import Finding, problem
from sfm_depth_ros.inspection.motion_rules import motion_findings
from sfm_depth_ros.inspection.stream_rules import stream_findings


def findings_of(facts: Facts) -> list[Finding]:
    """Faults by stream; for a stream without one, a line with its rate."""
    found = [problem("bag", text, remedy) for text, remedy in facts.damage]
    found += [*stream_findings(facts), *camera_findings(facts), *motion_findings(facts)]
    named = {finding.name for finding in found}
    for role in ("image", "camera_info", "velocity"):
        stream = facts.stream(role)
        if role not in named and not stream.is_empty:
            found.append(Finding(role, "ok", f"{stream.topic}, {stream.rate_hz:.1f} a second"))
    return found
