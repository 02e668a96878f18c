# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Share of the learnt weights that is judged, and the one that is chosen."""

from __future__ import annotations

import pytest

from sfm_depth_ros.training.online.comparison import SHARES, _Choice, _chosen
from sfm_depth_ros.training.online.guard import HeldOutError, Verdict

FORGETS = Verdict(False, False, "forgotten")
LOCAL = Verdict(False, False, "worse there", is_local=True)
NO_GAIN = Verdict(False, False, "no gain")
GOOD = Verdict(True, False, "better")


@pytest.mark.parametrize(
    ("verdicts", "share", "is_accepted"),
    [
        ([GOOD], 1.0, True),
        ([FORGETS, FORGETS, GOOD], 0.5, True),
        ([LOCAL, LOCAL, GOOD], 0.5, True),  # half of the weights loses little at that place
        ([FORGETS, LOCAL, LOCAL, GOOD], 0.25, True),
        ([LOCAL, LOCAL, LOCAL, LOCAL], 1.0, False),  # training goes on from all of it
        ([FORGETS, LOCAL, LOCAL, LOCAL], 0.75, False),
        ([LOCAL, LOCAL, NO_GAIN], 1.0, False),
        ([NO_GAIN], 1.0, False),
    ],
)
def test_choice(verdicts, share, is_accepted) -> None:
    errors, asked = HeldOutError(0.1, 0.1, 0.2, 1.0, 1.0, 0.1), []

    def judged(at: float) -> _Choice:
        verdict = verdicts[len(asked)]
        asked.append(at)
        return _Choice(None, at, None if verdict is FORGETS else errors, verdict)

    choice = _chosen(judged)
    assert (choice.share, choice.verdict.is_accepted) == (share, is_accepted)
    assert asked == list(SHARES[: len(verdicts)])
    assert choice.errors is errors
