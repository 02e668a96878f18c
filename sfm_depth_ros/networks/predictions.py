# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Metric predictions: the networks' outputs for a target and its two neighbours, in metres.

Pose networks that see pairs get (earlier, target) and (target, later), those that see three images
get all at once; the result has one form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfm_depth_ros.geometry.depth import (
    canonical_to_depth,
    canonical_to_motion,
    motion_focal_factors,
)
from sfm_depth_ros.geometry.se3 import invert_transform, motion_to_transform
from sfm_depth_ros.networks.model import DepthNet, PoseNet
from sfm_depth_ros.networks.pose import PoseOutput


@dataclass(frozen=True)
class SourceMotions:
    """Motion between a target and its sources (earlier, later) and what goes with it."""

    T_source_target: Tensor  # `(B, S, 4, 4)` metres, real camera (focal rule applied)
    # Each `(B, S, h, w)` in (0, 1) at the target's pixels, finest first
    explainability: list[Tensor] | None = None
    # `(B, S, 3, H, W)` metres, added to the transformed point in the source frame, at the target's
    # pixels
    residual_translation: Tensor | None = None
    # `(B, S, 3, H, W)` the same for target <- source, at the source's pixels, if predicted
    residual_reverse: Tensor | None = None
    # `(B, S, 4, 4)` by its own pass of the network, not inverted, if predicted
    T_target_source: Tensor | None = None
    intrinsics: Tensor | None = None  # `(B, 3, 3)` predicted K in pixels of the image


def predict_source_motions(
    pose_net: PoseNet, target: Tensor, sources: Tensor, K: Tensor, both_ways: bool = False
) -> SourceMotions:
    """Motion from a target to the images before and after it.

    Args:
        pose_net: Pose network.
        target: ``(B, 3, H, W)`` RGB in [0, 1].
        sources: ``(B, 2, 3, H, W)``, the earlier and the later image.
        K: ``(B, 3, 3)`` intrinsics in pixels; its focal length brings the motion to metres.
        both_ways: Whether the images are also shown in reversed order, for cycle terms.
    """
    earlier, later = sources.unbind(1)
    forward = _TripletOutput(pose_net, (earlier, target, later), K[:, 0, 0])
    motions = SourceMotions(
        _pair_towards_target(forward.T_earlier_later),
        forward.masks(),
        forward.residual(at_target=True),
        intrinsics=forward.intrinsics(),
    )
    if not both_ways:
        return motions
    # In reversed order the later image takes the place of the earlier one: the sources swap.
    backward = _TripletOutput(pose_net, (later, target, earlier), K[:, 0, 0])
    residual = backward.residual(at_target=False)
    return replace(
        motions,
        residual_reverse=None if residual is None else residual.flip(1),
        T_target_source=invert_transform(_pair_towards_target(backward.T_earlier_later).flip(1)),
    )


def _pair_towards_target(T_earlier_later: Tensor) -> Tensor:
    """``T_first_target`` and ``T_last_target`` of ``T_first_target`` and ``T_target_last``."""
    first, last = T_earlier_later.unbind(1)
    return torch.stack((first, invert_transform(last)), dim=1)


class _TripletOutput:
    """Outputs of a pose network for three images, each ``(B, 3, H, W)``, in the order given."""

    def __init__(
        self, pose_net: PoseNet, images: tuple[Tensor, Tensor, Tensor], focal: Tensor
    ) -> None:
        first, middle, last = images
        self._by_pairs = pose_net.images == 2
        self._rows = len(first)
        if self._by_pairs:
            stack = torch.cat((torch.cat((first, middle), 1), torch.cat((middle, last), 1)))
        else:
            stack = torch.cat(images, dim=1)  # (B, 9, H, W)
        has_extras = pose_net.config.has_extras
        self._output = pose_net.observe(stack) if has_extras else PoseOutput(pose_net(stack))
        self._focal, self._reference = focal, pose_net.config.reference_focal

    @property
    def T_earlier_later(self) -> Tensor:
        """``(B, 2, 4, 4)`` of both pairs of neighbours, metres."""
        motion = self._of_both_pairs(self._output.motion.float().unflatten(1, (-1, 6)))
        motion = canonical_to_motion(motion, self._focal[:, None], self._reference)
        return motion_to_transform(motion)

    def masks(self) -> list[Tensor] | None:
        """Each ``(B, 2, h, w)``: of both pairs, at the middle image's pixels."""
        masks = self._output.explainability
        if masks is None:
            return None
        return [self._at_middle(self._of_both_pairs(mask.float())) for mask in masks]

    def residual(self, at_target: bool) -> Tensor | None:
        """``(B, 2, 3, H, W)`` metres: of both pairs, at the middle or the outer image's pixels."""
        if self._output.residual_translation is None:
            return None
        both = self._of_both_pairs(self._output.residual_translation.float())
        field = self._at_middle(both if at_target else both.flip(2))
        forward, _ = motion_focal_factors(self._focal, self._reference)
        ones = torch.ones_like(forward)
        return field * torch.stack((ones, ones, forward), dim=1)[:, None, :, None, None]

    def intrinsics(self) -> Tensor | None:
        """``(B, 3, 3)``; mean over both pairs."""
        K = self._output.intrinsics
        if K is None or not self._by_pairs:
            return K
        return K.float().unflatten(0, (2, self._rows)).mean(dim=0)

    def _of_both_pairs(self, output: Tensor) -> Tensor:
        """``(2B, 1, ...)`` of a network of pairs to ``(B, 2, ...)``."""
        if not self._by_pairs:
            return output
        return output[:, 0].unflatten(0, (2, self._rows)).transpose(0, 1)

    @staticmethod
    def _at_middle(both: Tensor) -> Tensor:
        """``(B, 2 pairs, 2 images, ...)`` to ``(B, 2, ...)``: the middle image of each."""
        return torch.stack((both[:, 0, 1], both[:, 1, 0]), dim=1)


def predict_depths(depth_net: DepthNet, image: Tensor, K: Tensor) -> list[Tensor]:
    """Metric depths at all scales.

    Args:
        depth_net: Depth network.
        image: ``(B, 3, H, W)`` RGB in [0, 1].
        K: ``(B, 3, 3)`` intrinsics in pixels of ``image``.

    Returns:
        Depths in metres, finest ``(B, 1, H, W)`` first.
    """
    focal = K[:, 0, 0].view(-1, 1, 1, 1)
    reference = depth_net.config.reference_focal
    return [canonical_to_depth(depth.float(), focal, reference) for depth in depth_net(image)]


def predict_motions(
    pose_net: PoseNet, earlier: Tensor, target: Tensor, later: Tensor, K: Tensor
) -> Tensor:
    """Motion from the target to both neighbours, without the network's other outputs.

    Args:
        pose_net: Pose network.
        earlier: ``(B, 3, H, W)`` image before the target.
        target: ``(B, 3, H, W)``.
        later: ``(B, 3, H, W)`` image after it.
        K: ``(B, 3, 3)`` intrinsics in pixels.

    Returns:
        ``(B, 2, 4, 4)`` of ``T_earlier_target`` and ``T_later_target``.
    """
    sources = torch.stack((earlier, later), dim=1)
    return predict_source_motions(pose_net, target, sources, K).T_source_target
