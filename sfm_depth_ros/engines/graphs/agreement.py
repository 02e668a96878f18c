# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of an exported graph with torch, and the pictures for it.

A graph that differs is never written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.optional import is_available, require

TOLERANCES = {"fp32": 1e-3, "fp16": 2e-2}  # largest error, relative to the largest output
UNITS = ((2, 3), (3, 7))  # (height, width), in the smallest multiples that reach 32 pixels

_logger = logging.getLogger(__name__)


def check_agreement(
    content: bytes,
    reference: Callable[[np.ndarray], np.ndarray],
    channels: int,
    precision: str,
    batch: int = 1,
    multiple: int = 32,
) -> float:
    """Compare a graph with the network it was exported from, at two sizes.

    Args:
        content: Content of an ``.onnx`` file.
        reference: Torch's output for ``(batch, channels, h, w)`` float32.
        channels: Of the image.
        precision: Of the graph; decides the tolerance.
        batch: Images at a time.
        multiple: What the image's sides must be multiples of.

    Returns:
        The largest error relative to the largest output; NaN where ONNX Runtime is not installed
        and nothing was compared.

    Raises:
        EngineError: The graph's output differs.
    """
    if not is_available("onnxruntime"):
        _logger.info(
            "onnxruntime is not installed, so the exported graph is not compared with torch"
        )
        return float("nan")
    session = open_session(content)
    worst = 0.0
    for rows, columns in UNITS:
        unit = -(-32 // multiple) * multiple
        shape = (batch, channels, rows * unit, columns * unit)
        image = np.random.default_rng(0).random(shape, dtype=np.float32)
        expected = reference(image)
        (found,) = session.run(None, {session.get_inputs()[0].name: image})
        error = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-6))
        if found.shape != expected.shape or not error < TOLERANCES[precision]:
            raise EngineError(
                f"the graph exported at {precision} has the output {found.shape} and a relative "
                f"error of {error:.1e}, expected {expected.shape} and {TOLERANCES[precision]:.0e};"
                " export at precision fp32, or report the versions that sfm-depth info prints"
            )
        worst = max(worst, error)
    return worst


def open_session(content: bytes) -> Any:
    """The graph in ONNX Runtime on the CPU.

    Raises:
        EngineError: ONNX Runtime refuses the graph.
    """
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base but Exception
        raise EngineError(
            f"onnxruntime refuses the exported graph ({error}); report the versions "
            "that sfm-depth info prints"
        ) from error


def natural_pictures(width: int, height: int) -> np.ndarray:
    """Two pictures with the spectrum of natural images (1/f).

    Args:
        width: Width in pixels.
        height: Height in pixels.

    Returns:
        ``(2, 3, height, width)`` float32 in [0, 1], always the same.
    """
    noise = np.random.default_rng(0).standard_normal((2, 3, height, width))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    amplitude = 1.0 / np.maximum(np.hypot(rows, columns), 1.0 / width)
    picture = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=(height, width))
    low = picture.min(axis=(2, 3), keepdims=True)
    picture = (picture - low) / (picture.max(axis=(2, 3), keepdims=True) - low)
    return np.asarray(picture, np.float32)
