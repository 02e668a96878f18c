# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What depth_node says of itself once a second: counts, scale, and why nothing is published."""

from __future__ import annotations

from statistics import median
from typing import Any

from sfm_depth_ros.estimation.memory import resident_mb
from sfm_depth_ros.ros.complaints import Complaints
from sfm_depth_ros.ros.diagnostics import Diagnosis, Value
from sfm_depth_ros.ros.extrinsics import Extrinsics
from sfm_depth_ros.ros.frame_line import FrameLine
from sfm_depth_ros.ros.frame_stats import FrameStats
from sfm_depth_ros.ros.inputs import Inputs, InputState
from sfm_depth_ros.ros.model_loader import ModelLoader
from sfm_depth_ros.ros.node_base import SfmNode
from sfm_depth_ros.ros.time_guard import StampGuard
from sfm_depth_ros.visual_odometry.scale import RobustSummary


class DepthStatus:
    """Gathers the facts from where they are.

    Attributes:
        remarks: What the newest result lacks, and why.
    """

    def __init__(
        self,
        inputs: InputState,
        stats: FrameStats,
        complaints: Complaints,
        guards: tuple[StampGuard, ...] = (),
    ) -> None:
        self.remarks: tuple[str, ...] = ()
        self._input_state, self._stats, self._complaints = inputs, stats, complaints
        self._guards = guards

    def diagnose(
        self,
        node: SfmNode,
        loader: ModelLoader | None,
        inputs: Inputs | None,
        line: FrameLine[Any, Any] | None,
        extrinsics: Extrinsics | None,
    ) -> Diagnosis:
        """Say how the node is; what is new of it is logged as well."""
        reason = self._reason(node, loader, inputs)
        no_velocity = inputs.why_no_velocity() if inputs is not None and not reason else ""
        unmounted = "" if extrinsics is None else extrinsics.missing
        node.say(reason or unmounted or no_velocity)
        notes = [*(guard.remark() for guard in self._guards), *self.remarks]
        if (error := self._complaints.remark()) and error not in reason:
            notes.append(error)
        facts = {
            "state": node.state_label,
            "reason": reason,
            **self._counts(line),
            "mounting": "" if extrinsics is None else extrinsics.source,
            **_model_facts(loader),
            "remarks": "; ".join(filter(None, (unmounted, no_velocity, *notes))),
        }
        has_failed = node.problem is not None or (loader is not None and loader.has_failed)
        is_error = bool(reason) and (has_failed or self._complaints.current() is not None)
        message = reason or (f"publishing depth alone: {unmounted}" if unmounted else "publishing")
        return Diagnosis(not (reason or unmounted), message, facts, is_error)

    def _reason(self, node: SfmNode, loader: ModelLoader | None, inputs: Inputs | None) -> str:
        if node.problem is not None:
            return node.problem
        if not node.is_active or loader is None or inputs is None:
            return f"the node is {node.state_label}, not active"
        complaint = self._complaints.current()
        if complaint is not None:
            return complaint
        silent = inputs.why_silent()
        if silent is not None:
            return silent
        if loader.serving is None:
            return loader.waiting
        return "" if self._stats.is_flowing else "an image is in work"

    def _counts(self, line: FrameLine[Any, Any] | None) -> dict[str, Value]:
        stats, state = self._stats, self._input_state
        p50, p95 = stats.latency_ms()
        return {
            "received": state.received,
            "dropped": stats.not_ready + (line.dropped if line is not None else 0),
            "lost": state.losses.lost,
            "stamp_gaps": state.losses.stamp_gaps,
            "published": stats.published,
            "failed": stats.failed,
            "late": self._guards[0].late if self._guards else 0,
            "velocities": state.velocities,
            "rate_hz": stats.rate_hz,
            "latency_ms_p50": p50,
            "latency_ms_p95": p95,
            "engine_ms_p50": stats.engine_ms(),
            **{f"{stage}_ms_p50": value for stage, value in stats.stages_ms().items()},
            "memory_mb": resident_mb(),
            **self._complaints.facts(),
        }


def _model_facts(loader: ModelLoader | None) -> dict[str, Value]:
    serving = None if loader is None else loader.serving
    if loader is None or serving is None:
        return {"model_id": None}
    estimator = serving.estimator
    facts: dict[str, Value] = {
        "model_id": estimator.model_id,
        "models_loaded": loader.loaded,
        "models_refused": loader.refused,
        "model_update_s_p50": median(loader.update_s) if loader.update_s else None,
        **{f"engine_{network}": text for network, text in estimator.engines.items()},
    }
    scale = estimator.scale
    facts |= _summary("depth_scale_ratio", scale.depth_scale_ratio)
    facts |= _summary("translation_scale_ratio", scale.translation_scale_ratio)
    return facts


def _summary(name: str, summary: RobustSummary | None) -> dict[str, Value]:
    return {
        name: None if summary is None else summary.median,
        f"{name}_iqr": None if summary is None else summary.iqr,
        f"{name}_count": 0 if summary is None else summary.count,
    }
