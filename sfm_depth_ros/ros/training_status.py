# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What trainer_node says of itself once a second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sfm_depth_ros.ros.complaints import Complaints
from sfm_depth_ros.ros.diagnostics import Diagnosis, Value
from sfm_depth_ros.ros.extrinsics import Extrinsics
from sfm_depth_ros.ros.inputs import Inputs, InputState
from sfm_depth_ros.ros.node_base import SfmNode
from sfm_depth_ros.ros.snippet_source import SnippetSource
from sfm_depth_ros.training.online.status import STOPPED, TRAINING

if TYPE_CHECKING:  # needs torch, which a robot that only runs depth_node may lack
    from sfm_depth_ros.training.online.trainer import OnlineTrainer


def missing_input(inputs: Inputs, complaints: Complaints, extrinsics: Extrinsics | None) -> str:
    """What the trainer lacks, or an empty string."""
    unmounted = "" if extrinsics is None else extrinsics.missing
    return complaints.current() or inputs.why_silent() or unmounted or inputs.why_no_velocity()


def diagnose_training(
    node: SfmNode,
    trainer: OnlineTrainer | None,
    source: SnippetSource | None,
    state: InputState,
    missing: str,
    others: Mapping[str, Value],
) -> Diagnosis:
    """State, reason, and every number behind them."""
    facts: dict[str, Value] = {"received": state.received, "lost": state.losses.lost, **others}
    if source is not None:
        facts |= {"dropped": source.dropped, "failed": source.failed, "frames": source.frames}
        facts["late"] = source.late
        facts["remarks"] = "; ".join(filter(None, (missing, source.remarks)))
        facts |= {f"with.{role}": count for role, count in source.with_extra.items()}
        facts |= {f"no_snippet.{name}": count for name, count in source.refusals.items()}
    facts["velocities"] = state.velocities
    if trainer is None or not node.is_active:
        reason = node.problem or f"the node is {node.state_label}, not active"
        facts |= {"state": node.state_label, "reason": reason}
        return Diagnosis(False, reason, facts, is_error=node.problem is not None)
    status = trainer.status()
    facts |= status.as_facts()
    message = f"{status.state}: {status.reason}" if status.reason else status.state
    is_training = status.state == TRAINING
    return Diagnosis(is_training, message, facts, is_error=status.state == STOPPED)
