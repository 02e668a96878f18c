# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that is off by one per cent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sfm_depth_ros.engines.base import Engine, EngineRequest

MakeEngine = Callable[[EngineRequest], Engine]


def one_percent_off(honest: MakeEngine) -> MakeEngine:
    """What makes an engine whose answers are 1 % larger."""

    def make(request: EngineRequest) -> Engine:
        engine = honest(request)
        infer = engine.infer
        engine.infer = lambda image: infer(image) * np.float32(1.01)  # type: ignore[method-assign]
        return engine

    return make
