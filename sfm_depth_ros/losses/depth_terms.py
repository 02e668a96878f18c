# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What depth must be like by itself, and from one image to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.stereo import disparity_from_depth
from sfm_depth_ros.losses.icp import icp_loss
from sfm_depth_ros.losses.left_right import left_right_consistency
from sfm_depth_ros.losses.masked_mean import masked_mean
from sfm_depth_ros.losses.scene import Scene
from sfm_depth_ros.losses.smoothness import edge_aware_smoothness
from sfm_depth_ros.losses.supervised import sparse_depth_loss


def smoothness(scene: Scene) -> Tensor:
    """Mean over scales of the edge-aware smoothness, halved at each coarser one."""
    images = _image_pyramid(scene.observed.target, scene.inverse_depths)
    return torch.stack(
        [
            edge_aware_smoothness(inverse, image, scene.config.smoothness_order) / 2**scale
            for scale, (inverse, image) in enumerate(
                zip(scene.inverse_depths, images, strict=True)
            )
        ]
    ).mean()


def consistency(scene: Scene) -> Tensor | None:
    """Mean relative difference between the depths of target and sources (SC-SfMLearner)."""
    if scene.disagreement is None:
        return None
    return masked_mean(*scene.disagreement)


def icp(scene: Scene) -> Tensor | None:
    """How badly the clouds of target and sources align (vid2depth): motion's part and depth's.

    Every second row and column of the target is aligned: a quarter of the points says the same.
    """
    source_depths, K = scene.predicted.source_depths, scene.observed.K
    if source_depths is None:
        return None
    clouds = [backproject(depth, K) for depth in source_depths.unbind(1)]
    of_motion, of_depth = icp_loss(
        scene.points(0)[..., ::2, ::2],
        torch.stack(clouds, dim=1),
        scene.predicted.T_source_target,
        K,
    )
    return of_motion + of_depth


def left_right(scene: Scene) -> Tensor | None:
    """How unlike the disparities of left and right image are, as shares of the width (Monodepth).

    Disparities are those of the known baseline; mirrored pairs have negative ones.
    """
    right_depth, T_right_target = scene.predicted.right_depth, scene.observed.T_right_target
    if right_depth is None or T_right_target is None:
        return None
    baseline = -T_right_target[:, 0, 3]  # the right camera lies at +x in the target's frame
    known, focal = baseline.isfinite(), scene.observed.K[:, 0, 0]
    baseline = baseline.masked_fill(~known, 0)
    left, right = (
        disparity_from_depth(depth, focal, baseline) for depth in (scene.full_size(0), right_depth)
    )
    return left_right_consistency(left, right, known)


def sparse_depth(scene: Scene) -> Tensor | None:
    """What measured depths say of the finest scale, where a batch has them."""
    measured = scene.observed.sparse_depth
    return None if measured is None else sparse_depth_loss(scene.full_size(0), measured)


@torch.no_grad()
def _image_pyramid(image: Tensor, levels: Sequence[Tensor]) -> Iterator[Tensor]:
    """The image area-averaged to each level's size, each from the one before."""
    for level in levels:
        size = (level.shape[-2], level.shape[-1])
        if image.shape[-2:] != size:
            image = functional.interpolate(image, size, mode="area")
        yield image
