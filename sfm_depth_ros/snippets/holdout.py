# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which snippets are held out: whole blocks of time, with a gap to what is trained on.

Neighbouring frames show the same scene; held out one by one they would measure memory. The role
is a function of the stamp, so a drive that is played again falls into the same roles.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

BLOCK_S = 2.0
GUARD_S = 0.5
FIRST_BLOCK_S = 3.0  # after the first snippet, so that short drives have one too


class Role(Enum):
    """What a snippet is for; the value is part of its file's name."""

    TRAINING = "training"
    HOLDOUT = "holdout"


@dataclass(frozen=True)
class HoldoutSchedule:
    """Blocks of time that come again every ``BLOCK_S / share`` seconds."""

    anchor_ns: int  # Stamp of the first snippet ever
    share: float  # Share of time held out, 0 = none

    def role(self, stamps_ns: np.ndarray) -> Role | None:
        """Role of a snippet by its ``(3,)`` stamps; None = too near a border, for neither."""
        if self.share <= 0:
            return Role.TRAINING
        cycle_s = BLOCK_S / self.share
        begin_s = (int(stamps_ns[0]) - self.anchor_ns) * 1e-9 - FIRST_BLOCK_S
        end_s = begin_s + (int(stamps_ns[-1]) - int(stamps_ns[0])) * 1e-9
        phase_s = begin_s % cycle_s
        end_phase_s = phase_s + (end_s - begin_s)
        if end_phase_s <= BLOCK_S:
            return Role.HOLDOUT
        if phase_s >= BLOCK_S + GUARD_S and end_phase_s <= cycle_s - GUARD_S:
            return Role.TRAINING
        return None
