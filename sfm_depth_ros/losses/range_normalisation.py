# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Range normalisation: a scene in units of its own range, so that a room counts as much as a road.

After RealMonoDepth (Ocal and Mustafa, 2020): depths and translations are divided by the median of
the scene's depth. A warp does not change by it; errors in metres do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.values import Kind

_SMALLEST = 1e-6  # metres: a scene without any depth is not divided by zero


@torch.no_grad()
def median_depth(depth: Tensor) -> Tensor:
    """Median of each image's known depths: its range, a detached unit.

    Args:
        depth: ``(B, 1, H, W)`` metres; zero, negative and not finite values are unknown.

    Returns:
        ``(B, 1, 1, 1)`` metres; one where an image knows no depth.
    """
    if depth.ndim != 4 or depth.shape[1] != 1:
        raise ValueError(f"expected depth (B, 1, H, W), got {tuple(depth.shape)}")
    known = depth.isfinite() & (depth > 0)
    flat = depth.masked_fill(~known, torch.nan).flatten(1)
    return flat.nanmedian(1).values.nan_to_num(1).clamp(min=_SMALLEST).view(-1, 1, 1, 1)


def translation_normalised(T: Tensor, median: Tensor) -> Tensor:
    """Motions with their translations in units of the scene's range.

    Args:
        T: ``(B, S, 4, 4)`` in metres.
        median: ``(B, 1, 1, 1)`` metres.

    Returns:
        ``(B, S, 4, 4)`` in ranges.
    """
    if T.ndim != 4 or T.shape[-2:] != (4, 4) or median.shape != (T.shape[0], 1, 1, 1):
        raise ValueError(
            "expected T (B, S, 4, 4) and median (B, 1, 1, 1), got "
            f"{tuple(T.shape)} and {tuple(median.shape)}"
        )
    is_translation = torch.zeros_like(T[0, 0])
    is_translation[:3, 3] = 1
    return T * (1 + is_translation * (1 / median - 1))


def in_units_of_range(
    observed: SnippetBatch, predicted: Prediction
) -> tuple[SnippetBatch, Prediction]:
    """Divide every length, predicted or measured, by the median of the target's predicted depth.

    Images and what is compared in them do not change; a term in metres becomes one in ranges, so
    that ten centimetres in a room weigh as two metres on a road do.
    """
    unit = median_depth(predicted.depths[0])  # (B, 1, 1, 1), detached

    def shorter(length: Tensor) -> Tensor:
        return length / unit.view(-1, *(1,) * (length.ndim - 1))

    def motion(T: Tensor) -> Tensor:
        return translation_normalised(T, unit)

    def in_units(kind: Kind, part: Tensor) -> Tensor:
        if kind.metric == "motion":
            return motion(part) if part.ndim == 4 else motion(part[:, None])[:, 0]
        return shorter(part) if kind.metric == "length" else part

    return observed.by_kind(in_units), dataclasses.replace(
        predicted,
        depths=[shorter(depth) for depth in predicted.depths],
        T_source_target=motion(predicted.T_source_target),
        source_depths=_if_known(shorter, predicted.source_depths),
        right_depth=_if_known(shorter, predicted.right_depth),
        residual_translation=_if_known(shorter, predicted.residual_translation),
        residual_reverse=_if_known(shorter, predicted.residual_reverse),
        T_target_source=_if_known(motion, predicted.T_target_source),
    )


def _if_known(function: Callable[[Tensor], Tensor], value: Tensor | None) -> Tensor | None:
    return None if value is None else function(value)
