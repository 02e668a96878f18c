# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the objective compares: what was seen and measured, and what the networks say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Observation:
    """What was seen and measured.

    Attributes:
        target: ``(B, 3, H, W)`` image in [0, 1].
        sources: ``(B, S, 3, H, W)`` images in [0, 1].
        K: ``(B, 3, 3)`` intrinsics in pixels of these images.
        displacements: ``(B, S)`` measured lengths in metres; NaN where unknown.
        valid: ``(B, 1, H, W)`` bool, False where images have no source (padding, undistortion),
            or None.
        T_measured: ``(B, S, 4, 4)`` measured motions, NaN where unknown, or None.
        right: ``(B, 3, H, W)`` image in [0, 1] of a second camera with the same K, or None.
        T_right_target: ``(B, 4, 4)`` target's frame to the second camera's, metres; NaN where a
            snippet has no second image.
        sparse_depth: ``(B, 1, H, W)`` measured metres, 0 where unknown, or None.
        instances: ``(B, 1 + S, H, W)`` numbers of moving things in the target and its sources,
            0 = static, or None.
    """

    target: Tensor
    sources: Tensor
    K: Tensor
    displacements: Tensor
    valid: Tensor | None = None
    T_measured: Tensor | None = None
    right: Tensor | None = None
    T_right_target: Tensor | None = None
    sparse_depth: Tensor | None = None
    instances: Tensor | None = None


@dataclass(frozen=True)
class Prediction:
    """What the networks say of an observation.

    Attributes:
        depths: Each ``(B, 1, h, w)`` metres of the target, finest first; all are compared at full
            resolution.
        T_source_target: ``(B, S, 4, 4)`` motions in metres.
        source_depths: ``(B, S, 1, H, W)`` metres of the sources, where a term asks for them.
        right_depth: ``(B, 1, H, W)`` metres of the second image, likewise.
        explainability: Each ``(B, S, h, w)`` in (0, 1), finest first, or None.
        residual_translation: ``(B, S, 3, H, W)`` metres that the target's points move by
            themselves, in the source frames, or None.
        residual_reverse: ``(B, S, 3, H, W)`` metres, the same from source to target at the
            source's pixels, or None.
        T_target_source: ``(B, S, 4, 4)`` the way back, predicted apart, or None.
    """

    depths: Sequence[Tensor]
    T_source_target: Tensor
    source_depths: Tensor | None = None
    right_depth: Tensor | None = None
    explainability: Sequence[Tensor] | None = None
    residual_translation: Tensor | None = None
    residual_reverse: Tensor | None = None
    T_target_source: Tensor | None = None


def check_inputs(observed: Observation, predicted: Prediction) -> None:
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
