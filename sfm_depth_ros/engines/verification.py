# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of an engine with torch's outputs that were saved with the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.config.networks import INVERSE_AFFINE
from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder

# Of the 99th percentile of the relative error.
TOLERANCES = {"fp32": 1e-3, "bf16": 2e-2, "fp16": 2e-2, "int8": 1e-1}
SMALLEST_SHARE = 0.01  # of the largest inverse depth; lower bound of the denominator
SMALLEST_MOTION = 0.01  # metres or radians; lower bound of the denominator


@dataclass(frozen=True)
class RelativeError:
    """Distribution of |found - expected| / |expected|."""

    p50: float
    p99: float
    max: float


def check_shape(folder: ModelFolder, network: str) -> tuple[int, int, int, int]:
    """Input shape ``(1, C, H, W)`` at which an engine is compared with the check frames."""
    _, channels, height, width = folder.check_frames().of(network)[0].shape
    return 1, channels, height, width


def measure_error(engine: Engine, folder: ModelFolder, network: str) -> RelativeError:
    """Compare an engine with the check frames.

    Args:
        engine: Built for :func:`check_shape`.
        folder: Model that the engine was built from.
        network: ``"depth"`` (error relative to each pixel's depth) or ``"pose"`` (relative to
            the largest component of each translation and rotation).
    """
    inputs, expected = folder.check_frames().of(network)
    found = np.concatenate([engine.infer(frame[None]) for frame in inputs])
    if found.shape != expected.shape:
        raise EngineError(f"output of {engine.name}: expected {expected.shape}, got {found.shape}")
    if network == "depth" and folder.depth_config.head == INVERSE_AFFINE:
        return inverse_depth_error(found, expected)
    return relative_error(found, expected, network)


def inverse_depth_error(found: np.ndarray, expected: np.ndarray) -> RelativeError:
    """Error of inverse depth, for heads whose zero lies where a fit puts it.

    Relative to each pixel's inverse depth, or to a hundredth of the largest one: before the fit
    a sky is at zero, and its depth nothing but the reciprocal of rounding.
    """
    inverse = 1.0 / expected.astype(np.float64)
    size = np.maximum(np.abs(inverse), SMALLEST_SHARE * np.abs(inverse).max())
    error = np.abs(1.0 / found.astype(np.float64) - inverse) / size
    p50, p99 = np.percentile(error, (50, 99))
    return RelativeError(float(p50), float(p99), float(error.max()))


def relative_error(found: np.ndarray, expected: np.ndarray, network: str) -> RelativeError:
    """Error of outputs against expected ones of the same shape, see :func:`measure_error`."""
    size = np.abs(expected)
    if network == "pose":
        parts = size.reshape(len(size), -1, 3).max(axis=2, keepdims=True)
        size = np.maximum(parts, SMALLEST_MOTION).repeat(3, axis=2).reshape(size.shape)
    error = np.abs(found - expected) / np.maximum(size, 1e-9)
    p50, p99 = np.percentile(error, (50, 99))
    return RelativeError(float(p50), float(p99), float(error.max()))


def verify_engine(engine: Engine, folder: ModelFolder, network: str) -> RelativeError:
    """Compare an engine with the check frames and refuse it beyond the tolerance.

    Raises:
        EngineError: The 99th percentile of the relative error is beyond the precision's
            tolerance.
    """
    error = measure_error(engine, folder, network)
    if reason := refusal(engine, error, folder, network):
        raise EngineError(reason)
    return error


def refusal(engine: Engine, error: RelativeError, folder: ModelFolder, network: str) -> str:
    """Reason not to use an engine with this error; empty where it may be used."""
    tolerance = TOLERANCES[engine.precision]
    if error.p99 <= tolerance:
        return ""
    return (
        f"{engine.name} at {engine.precision} does not reproduce the {network} network of "
        f"model {folder.model_id}: relative error p99 {error.p99:.1e}, allowed "
        f"{tolerance:.0e}; choose another engine or precision: fp32"
    )
