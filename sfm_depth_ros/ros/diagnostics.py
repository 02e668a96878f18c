# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics of both nodes: state, the reason for it, and the numbers behind it, each second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from sfm_depth_ros.estimation.stage_clock import resident_mb
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.extrinsics import Extrinsics
from sfm_depth_ros.ros.frame_path import FramePath
from sfm_depth_ros.ros.inputs import Inputs, InputState
from sfm_depth_ros.ros.model_loader import ModelLoader
from sfm_depth_ros.ros.node_base import SfmNode
from sfm_depth_ros.ros.snippet_source import SnippetSource
from sfm_depth_ros.ros.streams import FrameStats, StampGuard
from sfm_depth_ros.training.online.status import STOPPED, InputReport
from sfm_depth_ros.visual_odometry.scale import RobustSummary

if TYPE_CHECKING:
    from sfm_depth_ros.training.online.trainer import OnlineTrainer

PERIOD_S = 1.0  # between two messages
Value = str | int | float | bool | None


@dataclass(frozen=True)
class Diagnosis:
    """Condition of a node."""

    is_ok: bool  # Whether it does what it is there for
    message: str  # One sentence; where `is_ok` is False, why
    facts: Mapping[str, Value] = field(default_factory=dict)  # Named values
    is_error: bool = False  # Whether somebody has to mend something


class DiagnosticsPublisher:
    """Publishes on a steady clock: sim time that stands still must not silence it."""

    def __init__(self, node: Node, topic: str, diagnose: Callable[[], Diagnosis]) -> None:
        """Start publishing.

        Args:
            node: The publishing node.
            topic: ``/diagnostics``, or another topic of the same type.
            diagnose: Called once a second, in the executor's thread.
        """
        self._node, self._diagnose = node, diagnose
        # The plain publisher on purpose: a lifecycle one sends nothing while the node is inactive.
        self._publisher = node.create_publisher(DiagnosticArray, topic, 10)
        self._timer = node.create_timer(
            PERIOD_S, self.publish, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def publish(self) -> None:
        """Publish now."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        name = self._node.get_fully_qualified_name().lstrip("/")
        message.status = [to_status(name, self._diagnose())]
        self._publisher.publish(message)


def to_status(name: str, diagnosis: Diagnosis) -> DiagnosticStatus:
    """One status message with the facts as key and text."""
    level = DiagnosticStatus.OK if diagnosis.is_ok else DiagnosticStatus.WARN
    if diagnosis.is_error:
        level = DiagnosticStatus.ERROR
    values = [KeyValue(key=key, value=as_text(value)) for key, value in diagnosis.facts.items()]
    return DiagnosticStatus(
        level=level, name=name, message=diagnosis.message, hardware_id="", values=values
    )


def as_text(value: Value) -> str:
    """A value as people and programs read it; unknown is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class DepthStatus:
    """Gathers the facts from where they are."""

    def __init__(
        self,
        inputs: InputState,
        stats: FrameStats,
        errors: ErrorLog,
        velocity_guard: StampGuard,
    ) -> None:
        self._input_state, self._stats, self._errors = inputs, stats, errors
        self._velocity_guard = velocity_guard

    def diagnose(
        self,
        node: SfmNode,
        loader: ModelLoader | None,
        inputs: Inputs | None,
        path: FramePath | None,
        extrinsics: Extrinsics | None,
    ) -> Diagnosis:
        """Diagnose the node; a new reason is logged as well."""
        reason = self._reason(node, loader, inputs)
        no_velocity = inputs.why_no_velocity() if inputs is not None and not reason else ""
        unmounted = "" if extrinsics is None else extrinsics.missing
        node.report(reason or unmounted or no_velocity)
        faults = () if path is None or reason else (path.guard.fault(), *path.faults)
        if inputs is not None:
            jumps = self._velocity_guard.fault()
            faults = (*stream_faults(inputs, extrinsics), jumps, *faults)
        faults = tuple(filter(None, faults))
        if faults:
            node.report(faults[0])
        notes = [self._velocity_guard.remark(), "" if inputs is None else inputs.frame_remark]
        if path is not None:
            notes = [path.guard.remark(), *notes, *path.remarks]
        if loader is not None and loader.serving is not None:
            notes.append(loader.serving.estimator.model.preprocessor.narrowed)
        if (error := self._errors.remark()) and error not in reason:
            notes.append(error)
        facts = {
            "state": node.state_label,
            "reason": reason,
            **self._counts(path),
            "mounting": "" if extrinsics is None else extrinsics.source,
            **_model_facts(loader),
            **_geometry_facts(path),
            "input_faults": "; ".join(faults),
            "remarks": "; ".join(filter(None, (unmounted, no_velocity, *notes))),
        }
        has_failed = node.problem is not None or (loader is not None and loader.has_failed)
        is_error = bool(reason) and (has_failed or self._errors.current() is not None)
        message = reason or (f"publishing depth alone: {unmounted}" if unmounted else "publishing")
        if faults and not reason:
            message = f"publishing, but {faults[0]}"
        return Diagnosis(not (reason or unmounted or faults), message, facts, is_error)

    def _reason(self, node: SfmNode, loader: ModelLoader | None, inputs: Inputs | None) -> str:
        if node.problem is not None:
            return node.problem
        if not node.is_active or loader is None or inputs is None:
            return f"the node is {node.state_label}, not active"
        error = self._errors.current()
        if error is not None:
            return error
        silent = inputs.why_silent()
        if silent is not None:
            return silent
        if loader.serving is None:
            return loader.waiting
        return "" if self._stats.is_flowing else "an image is being processed"

    def _counts(self, path: FramePath | None) -> dict[str, Value]:
        stats, state = self._stats, self._input_state
        p50, p95 = stats.latency_ms()
        return {
            "received": state.received,
            "dropped": stats.not_ready + (path.dropped if path is not None else 0),
            "lost": state.losses.lost,
            "stamp_gaps": state.losses.stamp_gaps,
            "published": stats.published,
            "failed": stats.failed,
            "late": stats.late,
            "velocities": state.velocities,
            "rate_hz": stats.rate_hz,
            "latency_ms_p50": p50,
            "latency_ms_p95": p95,
            "engine_ms_p50": stats.engine_ms(),
            **{f"{stage}_ms_p50": value for stage, value in stats.stages_ms().items()},
            "memory_mb": resident_mb(),
            **self._errors.facts(),
        }


def _model_facts(loader: ModelLoader | None) -> dict[str, Value]:
    serving = None if loader is None else loader.serving
    if loader is None or serving is None:
        return {"model_id": None}
    model = serving.estimator.model
    facts: dict[str, Value] = {
        "model_id": model.model_id,
        "input_size": "x".join(map(str, model.preprocessor.size)),
        "models_loaded": loader.loaded,
        "models_refused": loader.refused,
        "model_update_s_p50": median(loader.update_s) if loader.update_s else None,
        **{f"engine_{network}": text for network, text in model.engine_names.items()},
    }
    scale = serving.estimator.scale
    facts |= _summary("depth_scale_ratio", scale.depth_scale_ratio)
    facts |= _summary("translation_scale_ratio", scale.translation_scale_ratio)
    return facts


def _geometry_facts(path: FramePath | None) -> dict[str, Value]:
    """Facts of the newest result; a ratio by landmarks replaces that of single pairs."""
    if path is None:
        return {}
    if "depth_scale_low" not in path.geometry:
        return dict(path.geometry)
    return {**path.geometry, "depth_scale_ratio_iqr": None, "depth_scale_ratio_count": None}


def _summary(name: str, summary: RobustSummary | None) -> dict[str, Value]:
    return {
        name: None if summary is None else summary.median,
        f"{name}_iqr": None if summary is None else summary.iqr,
        f"{name}_count": 0 if summary is None else summary.count,
    }


def stream_faults(inputs: Inputs, extrinsics: Extrinsics | None) -> tuple[str, ...]:
    """Wrong streams and a wrong mounting, each with its remedy."""
    tilted = "" if extrinsics is None else extrinsics.fault
    return tuple(filter(None, (*inputs.faults(), tilted)))


def input_report(
    inputs: Inputs, errors: ErrorLog, extrinsics: Extrinsics | None, source: SnippetSource
) -> InputReport:
    """State of the trainer's inputs; a stream that is silent is neither gated nor standing."""
    silent, no_velocity = inputs.why_silent(), inputs.why_no_velocity()
    unmounted = "" if extrinsics is None else extrinsics.missing
    missing = errors.current() or silent or unmounted or no_velocity
    if silent:
        return InputReport(missing, "camera")
    if no_velocity:
        return InputReport(missing, "velocity")
    return InputReport(missing, "", source.gated, source.is_standing)


def diagnose_training(
    node: SfmNode,
    trainer: OnlineTrainer | None,
    source: SnippetSource | None,
    state: InputState,
    missing: str,
    faults: Sequence[str],
    others: Mapping[str, Value],
) -> Diagnosis:
    """State, reason, and every number behind them; ``faults`` are wrong inputs, in words."""
    facts: dict[str, Value] = {"received": state.received, "lost": state.losses.lost, **others}
    facts["input_faults"] = "; ".join(faults)
    if source is not None:
        facts |= {"dropped": source.dropped, "failed": source.failed, "frames": source.frames}
        facts["late"] = source.late
        facts["remarks"] = "; ".join(filter(None, (missing, source.remarks)))
        facts |= {f"with.{role}": count for role, count in source.with_extra.items()}
        facts |= {f"no_velocity.{name}": n for name, n in source.velocities_refused.items()}
        facts |= {f"no_snippet.{name}": count for name, count in source.refusals.items()}
    facts["velocities"] = state.velocities
    if trainer is None or not node.is_active:
        reason = node.problem or f"the node is {node.state_label}, not active"
        facts |= {"state": node.state_label, "reason": reason}
        return Diagnosis(False, reason, facts, is_error=node.problem is not None)
    status = trainer.status()
    facts |= status.as_facts()
    message = f"{status.state}: {status.reason}" if status.reason else status.state
    if faults and faults[0] not in message:
        message = f"{message}, but {faults[0]}"
    is_ok = status.is_at_work and not faults
    return Diagnosis(is_ok, message, facts, is_error=status.state == STOPPED)
