# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that is off by one per cent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sfm_depth_ros.engines.base import Engine, EngineRequest
from sfm_depth_ros.engines.building import build_engine

BuildEngine = Callable[[str, EngineRequest], Engine]


def one_percent_off(wrong: str, honest: str) -> BuildEngine:
    """``build_engine``, except that ``wrong`` is ``honest`` with an output 1 % larger."""

    def build(name: str, request: EngineRequest) -> Engine:
        if name != wrong:
            return build_engine(name, request)
        engine = build_engine(honest, request)
        infer = engine.infer
        engine.infer = lambda image: infer(image) * np.float32(1.01)  # type: ignore[method-assign]
        return engine

    return build
