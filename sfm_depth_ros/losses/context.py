# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reprojection context: the quantities that several terms of the objective share."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.depth import inverse_depth
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import WarpResult, sample_sources, warp_sources
from sfm_depth_ros.losses.consistency import depth_consistency
from sfm_depth_ros.losses.inputs import Prediction, check_inputs
from sfm_depth_ros.losses.photometric import WindowStatistics, box_sum, window_statistics
from sfm_depth_ros.losses.range_normalisation import in_units_of_range
from sfm_depth_ros.losses.residual_motion import motion_of_instances
from sfm_depth_ros.snippets.batch import SnippetBatch


class ReprojectionContext:
    """A batch under one prediction, with quantities that several terms share, computed once.

    Cached on first access: do not access under ``no_grad``, for other terms need the gradients.

    Args:
        observed: Images and measurements.
        predicted: Depths and motions of the networks.
        config: Weights and switches.
    """

    def __init__(
        self, observed: SnippetBatch, predicted: Prediction, config: ObjectiveConfig
    ) -> None:
        check_inputs(observed, predicted)
        if config.normalise_range:
            observed, predicted = in_units_of_range(observed, predicted)
        self.observed, self.predicted, self.config = observed, predicted, config
        self.depths = predicted.depths[: config.scales]

    @cached_property
    def inverse_depths(self) -> list[Tensor]:
        """Inverse depths of the target at every scale, 1/m."""
        return [inverse_depth(depth) for depth in self.depths]

    @cached_property
    def reference(self) -> Tensor:
        """The target ``(B, 1, 3, H, W)``, ready to broadcast over sources."""
        return self.observed.target[:, None]

    @cached_property
    def statistics(self) -> WindowStatistics:
        """Window statistics of the reference."""
        return window_statistics(self.reference, self.config.ssim_window)

    @cached_property
    @torch.no_grad()
    def valid(self) -> Tensor | None:
        """Pixels ``(B, 1, H, W)`` whose window touches no invalid one."""
        if self.observed.valid is None:
            return None
        window = self.config.ssim_window
        whole = box_sum(self.observed.valid.to(self.reference.dtype), window)
        return whole > window**2 - 1e-3

    @torch.no_grad()
    def with_validity(self, images: Tensor) -> Tensor:
        """Images ``(B, S, 3, H, W)`` with a fourth channel, 1 where valid, if there is a mask."""
        if self.valid is None:
            return images
        channel = self.valid[:, None].to(images.dtype).expand(-1, images.shape[1], -1, -1, -1)
        return torch.cat([images, channel], dim=2)

    def points(self, scale: int) -> Tensor:
        """Points ``(B, 3, H, W)`` of the target at full size, by a scale's depth, metres."""
        return self.finest_points if scale == 0 else self._points(scale)

    def warped(self, scale: int) -> WarpResult:
        """The sources, with their validity, warped to the target by a scale's depth."""
        return self.finest_warped if scale == 0 else self._warped(scale)

    @cached_property
    def finest_points(self) -> Tensor:
        """Points ``(B, 3, H, W)`` of the target by the finest depth, metres."""
        return self._points(0)

    @cached_property
    def finest_warped(self) -> WarpResult:
        """The sources, with their validity, warped to the target by the finest depth."""
        return self._warped(0)

    @cached_property
    def T_warp(self) -> Tensor:
        """Motions ``(B, S, 4, 4)`` that the sources are warped by; see ``warp_motion``."""
        predicted, measured = self.predicted.T_source_target, self.observed.T_measured
        if self.config.warp_motion == "network" or measured is None:
            return predicted
        known = measured.flatten(-2).isfinite().all(-1)[..., None, None]
        return torch.where(known, measured.to(predicted), predicted)

    @cached_property
    def residual(self) -> Tensor | None:
        """Residual translation ``(B, S, 3, H, W)``, metres; None = the scene is static.

        With ``use_instance_mask`` each instance has the mean over its pixels, all else is static;
        without a mask everything is.
        """
        field = self.predicted.residual_translation
        if field is None or not self.config.use_instance_mask:
            return field
        instances = self.observed.instances
        return None if instances is None else motion_of_instances(field, instances[:, 0])

    @cached_property
    def disagreement(self) -> tuple[Tensor, Tensor] | None:
        """Relative depth difference to the sources ``(B, S, H, W)``, and where it is known."""
        sampled = self.sampled_depths
        return None if sampled is None else depth_consistency(self.finest_warped, sampled)

    @cached_property
    def sampled_depths(self) -> Tensor | None:
        """The sources' own depths ``(B, S, 1, H, W)`` where the target's points fall in them."""
        depths = self.predicted.source_depths
        return None if depths is None else sample_sources(depths, self.finest_warped.grid)

    @cached_property
    def sampled_residual_reverse(self) -> Tensor | None:
        """Residual translation from source to target ``(B, S, 3, H, W)``, at the target's pixels.

        Sampled at the detached grid: fields must agree, not move together.
        """
        field = self.predicted.residual_reverse
        if field is None or self.residual is None:
            return None
        instances = self.observed.instances
        if self.config.use_instance_mask and instances is not None:
            of_sources = motion_of_instances(
                field.flatten(0, 1)[:, None], instances[:, 1:].flatten(0, 1)
            )
            field = of_sources.view_as(field)
        return sample_sources(field, self.finest_warped.grid.detach())

    def full_size(self, scale: int) -> Tensor:
        """Depth of a scale at the target's size, ``(B, 1, H, W)`` metres.

        Interpolated as inverse depth, which is linear on planes.
        """
        depth, target = self.depths[scale], self.observed.target
        size = (target.shape[-2], target.shape[-1])
        if depth.shape[-2:] == size:
            return depth
        inverse = functional.interpolate(
            self.inverse_depths[scale], size, mode="bilinear", align_corners=False
        )
        return 1.0 / inverse

    def _points(self, scale: int) -> Tensor:
        return backproject(self.full_size(scale), self.observed.K)

    def _warped(self, scale: int) -> WarpResult:
        return warp_sources(
            self._sources,
            self.points(scale),
            self.observed.K,
            self.T_warp,
            self.residual,
        )

    @cached_property
    def _sources(self) -> Tensor:
        return self.with_validity(self.observed.sources)
