# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Flip post-processing as an engine around the depth engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.estimation.prepared_model import CreateEngine


class FlipEngine(Engine):
    """Shows the network each image and its mirror image, and blends the two depths.

    Args:
        engine: The depth network's engine; closed with this one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.precision = engine.name, engine.precision
        self.input_shape = engine.input_shape

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Blended depth ``(1, 1, h, w)`` of ``(1, 3, h, w)``."""
        depth = self._engine.infer(image).copy()  # an engine may reuse its output's memory
        mirrored = self._engine.infer(np.ascontiguousarray(image[..., ::-1]))
        return blend_flipped(depth, mirrored[..., ::-1])

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()


def with_flip(create_engine: CreateEngine) -> CreateEngine:
    """The same engines, the depth network's with flip post-processing."""

    def create(folder: Any, network: str, *arguments: Any, **options: Any) -> Engine:
        engine = create_engine(folder, network, *arguments, **options)
        return FlipEngine(engine) if network == "depth" else engine

    return create


_BORDER = 0.05  # share of the width at each side that is taken from one prediction alone
_RAMP = 20.0  # the blend goes over to the mean within another 1 / _RAMP of the width


def blend_flipped(depth: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Blend as inverse depth: the mean, but at each border one prediction alone.

    At the left border the mirrored image's prediction is taken (there it saw the right border of
    its own image), at the right border the other.

    Args:
        depth: ``(..., w)`` prediction for the image.
        mirrored: ``(..., w)`` prediction for the mirrored image, mirrored back.

    Returns:
        ``(..., w)`` of the same type.
    """
    across = np.linspace(0.0, 1.0, depth.shape[-1])
    left = 1.0 - np.clip(_RAMP * (across - _BORDER), 0.0, 1.0)
    right = left[::-1]
    middle = 0.5 * (1.0 - left - right)
    inverse = (right + middle) / depth + (left + middle) / mirrored
    return np.asarray(1.0 / inverse, depth.dtype)
