# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One wrong input, named."""

from __future__ import annotations

from dataclasses import dataclass

SPEED_UNIT = "speed_unit"  # kind of the fault that makes every length wrong


@dataclass(frozen=True)
class InputFault:
    """One wrong input with its remedy."""

    kind: str
    text: str
