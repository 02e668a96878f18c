# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a measured scale is believed."""

from __future__ import annotations

import math

PLACE_TO_PLACE = 0.5  # log of the bias that one place alone may show in a good model
MANY_PLACES = 150  # snippets after which half of a measured bias is believed
TOLERANCE = 0.03  # a smaller bias of scale is left to the gradient


def trusted_factor(factor: float, snippets: int) -> float:
    """The part of a measured factor that is applied.

    A good model is a little wrong in another way at every place, so what few snippets of one place
    say is believed little. A factor that no place explains is believed at once; a bias within the
    tolerance is left to the gradient.

    Args:
        factor: Measured factor that would make depths or translations metric.
        snippets: How many snippets the measurement speaks for.
    """
    bias = math.log(factor) if math.isfinite(factor) else 0.0
    if abs(bias) <= TOLERANCE:
        return 1.0
    trust = 1.0 if abs(bias) > PLACE_TO_PLACE else snippets / (snippets + MANY_PLACES)
    return math.exp(trust * bias)
