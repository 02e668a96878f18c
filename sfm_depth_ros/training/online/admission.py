# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Admission of snippets: what is refused before the buffer sees it, counted by reason."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.online.slip import SlipWatch

REASONS = ("not_finite", "no_displacement", "wheel_slip", "paused", "gated", "disk")


class Admission:
    """Refuses snippets that cannot teach metric scale.

    Attributes:
        refused: Snippets refused, by reason.
    """

    def __init__(self) -> None:
        self.refused = dict.fromkeys(REASONS, 0)
        self._slip = SlipWatch()

    @property
    def slipping(self) -> str:
        """That wheels slip, for people; empty while they do not."""
        return self._slip.reason

    def takes(self, snippet: Snippet, blocked: str, is_trusted: bool) -> bool:
        """Whether a snippet may enter the buffer.

        Args:
            snippet: The next one.
            blocked: Reason of ``REASONS`` why none is taken at present, or "".
            is_trusted: Whether the metres before it were believed.
        """
        unusable = _unusable(snippet)
        # also while a gate refuses: a step that nobody saw would never be taken back
        is_slipping = not unusable and self._slip.is_slipping(snippet, is_trusted)
        reason = blocked or unusable or ("wheel_slip" if is_slipping else "")
        if reason:
            self.refused[reason] += 1
        return not reason


def _unusable(snippet: Snippet) -> str:
    """Name of the reason why a snippet cannot teach metric scale, or an empty string."""
    if not np.isfinite(snippet.displacements).all():
        return "not_finite"
    return "" if (snippet.displacements > 0).all() else "no_displacement"
