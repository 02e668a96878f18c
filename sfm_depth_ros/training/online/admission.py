# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Admission of snippets: refusals before the buffer sees them, and what their images show."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.online.slip import SlipWatch
from sfm_depth_ros.visual_odometry.snippet_tracks import SnippetTracks, with_tracks

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

    def admitted(self, snippet: Snippet, blocked: str, is_trusted: bool) -> Snippet | None:
        """The snippet with what its images show, or None where it may not enter the buffer.

        Args:
            snippet: The next one.
            blocked: Reason of ``REASONS`` why none is taken at present, or "".
            is_trusted: Whether the metres before it were believed.
        """
        if unusable := _unusable(snippet):
            self.refused[blocked or unusable] += 1
            return None
        tracks = SnippetTracks.of(snippet)
        # also while a gate refuses: a step that nobody saw would never be taken back
        is_slipping = self._slip.is_slipping(snippet, tracks, is_trusted)
        if reason := blocked or ("wheel_slip" if is_slipping else ""):
            self.refused[reason] += 1
            return None
        return with_tracks(snippet, tracks)


def _unusable(snippet: Snippet) -> str:
    """Name of the reason why a snippet cannot teach metric scale, or an empty string."""
    if not np.isfinite(snippet.displacements).all():
        return "not_finite"
    return "" if (snippet.displacements > 0).all() else "no_displacement"
