# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs of the objective: a batch of snippets, and what the networks predict for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from sfm_depth_ros.snippets.batch import SnippetBatch


@dataclass(frozen=True)
class DenseFeatures:
    """Feature maps of a snippet's images, which carry no gradient."""

    target: Tensor  # `(B, C, h, w)`
    sources: Tensor  # `(B, S, C, h, w)`
    right: Tensor | None = None  # `(B, C, h, w)` of the second image


@dataclass(frozen=True)
class FlowPrediction:
    """Optical flow between the target and its sources, pixels of the whole image."""

    forward: Sequence[Tensor]  # Each `(B, S, 2, h, w)` from target to source, finest first
    backward: Tensor  # `(B, S, 2, H, W)` from source to target
    # `(B, S, 1, H, W)` in (0, 1): how likely the camera's motion alone explains a pixel, or None
    static: Tensor | None = None


@dataclass(frozen=True)
class Prediction:
    """Predictions of the networks for a batch of snippets."""

    # Each `(B, 1, h, w)` metres of the target, finest first; all are compared at full resolution
    depths: Sequence[Tensor]
    T_source_target: Tensor  # `(B, S, 4, 4)` motions in metres
    # `(B, S, 1, H, W)` metres of the sources, where a term asks for them
    source_depths: Tensor | None = None
    right_depth: Tensor | None = None  # `(B, 1, H, W)` metres of the second image, likewise
    # Each `(B, S, h, w)` in (0, 1), finest first, or None
    explainability: Sequence[Tensor] | None = None
    # `(B, S, 3, H, W)` metres, residual translation of the target's points in the source
    # frames, or None
    residual_translation: Tensor | None = None
    # `(B, S, 3, H, W)` metres, the same from source to target at the source's pixels, or None
    residual_reverse: Tensor | None = None
    T_target_source: Tensor | None = (
        None  # `(B, S, 4, 4)` the inverse motion, predicted by its own pass, or None
    )
    features: DenseFeatures | None = None  # Where a term compares them
    flow: FlowPrediction | None = None  # Where a term compares it
    # `(B, S, 2, H, W)` pixels, the static scene's flow from source to target, where it is needed
    rigid_reverse: Tensor | None = None
    # `(B, S, 4, 4)` the pose network's motions, where `T_source_target` was aligned beyond them
    T_unaligned: Tensor | None = None


def check_inputs(observed: SnippetBatch, predicted: Prediction) -> None:
    """Refuse shapes that do not belong together.

    Raises:
        ValueError: They do not.
    """
    target, sources, valid = observed.target, observed.sources, observed.valid
    batch, size = target.shape[0], target.shape[-2:]
    if target.ndim != 4 or sources.ndim != 5 or sources.shape[2:] != target.shape[1:]:
        raise ValueError(
            "expected target (B, 3, H, W) and sources (B, S, 3, H, W), got "
            f"{tuple(target.shape)} and {tuple(sources.shape)}"
        )
    depths = predicted.depths
    if not depths or any(depth.shape[:2] != (batch, 1) for depth in depths):
        raise ValueError(f"expected depths ({batch}, 1, h, w), finest first")
    if valid is not None and valid.shape != (batch, 1, *size):
        raise ValueError(f"expected valid {(batch, 1, *size)}, got {tuple(valid.shape)}")
