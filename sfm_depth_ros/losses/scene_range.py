# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A batch and its prediction in units of the scene's own range instead of metres."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor

from sfm_depth_ros.losses.inputs import Prediction
from sfm_depth_ros.losses.range_normalisation import median_depth, translation_normalised
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.snippets.values import Kind


def in_units_of_range(
    observed: SnippetBatch, predicted: Prediction
) -> tuple[SnippetBatch, Prediction]:
    """Divide every length, predicted or measured, by the median of the target's predicted depth.

    Images and what is compared in them do not change; a term in metres becomes one in ranges, so
    that ten centimetres in a room weigh as two metres on a road do.
    """
    unit = median_depth(predicted.depths[0])  # (B, 1, 1, 1), not learnt through

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
