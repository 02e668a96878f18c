# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality-of-service profiles, named by purpose; every one can be overridden by ``qos_overrides``.

We publish reliably and subscribe best effort, so that both sides match everybody (REP 2003).
"""

from __future__ import annotations

from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions


def image_input() -> QoSProfile:
    """Images in: best effort; a few may wait while Python is busy, the mailbox has the newest."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def resent(profile: QoSProfile) -> QoSProfile:
    """The same profile, but what is lost is sent again until a message is whole."""
    return QoSProfile(
        history=profile.history,
        depth=profile.depth,
        durability=profile.durability,
        reliability=ReliabilityPolicy.RELIABLE,
    )


def small_input() -> QoSProfile:
    """Calibration and velocities in: best effort, deep enough for a second of 200 Hz odometry."""
    return QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)


def output() -> QoSProfile:
    """Results out: reliable, which both reliable and best-effort subscribers take."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


def latched(depth: int = 1) -> QoSProfile:
    """The last ``depth`` values also for those who join late."""
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def overrides() -> QoSOverridingOptions:
    """Policies settable as ``qos_overrides.<topic>.<publisher|subscription>.<policy>``."""
    return QoSOverridingOptions(
        policy_kinds=(
            QoSPolicyKind.HISTORY,
            QoSPolicyKind.DEPTH,
            QoSPolicyKind.RELIABILITY,
            QoSPolicyKind.DURABILITY,
        )
    )


def is_overridden(node: Node, topic: str, policy: str) -> bool:
    """Whether the user has set a policy of a subscription.

    Args:
        node: The node that subscribes.
        topic: Full name of the topic, after remapping.
        policy: ``reliability``, ``depth``, ``history`` or ``durability``.
    """
    return f"qos_overrides.{topic}.subscription.{policy}" in node._parameter_overrides


def is_qos_error(error: Exception) -> bool:
    """Whether a publisher or subscription was refused for a value in ``qos_overrides``."""
    is_value = isinstance(error, RuntimeError) and "QoS override" in str(error)
    return is_value or (
        isinstance(error, (InvalidQosOverridesError, ParameterException))
        and "qos_overrides" in str(error)
    )
