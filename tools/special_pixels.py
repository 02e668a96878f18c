# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth error on moving and occluded pixels, by the truth of a rendered drive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import warp_sources
from sfm_depth_ros.losses.occlusion import splat_occlusion_mask
from sfm_depth_ros.networks.predictions import predict_depths, predict_source_motions
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.companion_predictions import moving_mask
from sfm_depth_ros.training.moving_pixels import moving_pixels
from sfm_depth_ros.visual_odometry.snippet_tracks import with_tracks

if TYPE_CHECKING:
    from sfm_depth_ros.snippets.batch import SnippetBatch
    from sfm_depth_ros.training.network_pair import NetworkPair

FAR = 80.0  # metres: things farther away are not judged


@torch.no_grad()
def errors_where_difficult(
    networks: NetworkPair, batches: Iterable[SnippetBatch], focal_factor: float = 1.0
) -> dict[str, float]:
    """Mean |depth - truth| / truth of special pixels, and the focal lengths that are believed.

    Args:
        networks: In eval mode.
        batches: Snippets of one camera with true depth and motion.
        focal_factor: How many times the true focal length the batches' K has.

    Returns:
        ``moving_iou``, of the moderator's mask with what moves, where there is one; ``flow_iou``,
        of the moving pixels by DIS flow against depth and measured motion, where that is known;
        ``things_abs_rel``, of what moves by itself, where that is marked; ``hidden_abs_rel``, of
        what a source cannot see for something else is before it; ``focal_ratio`` and
        ``focal_ratio_y``, median over snippets of believed / true: the pose network's, or
        else K.
    """
    misses: dict[str, list[np.ndarray]] = {}
    overlaps: dict[str, list[Tensor]] = {}
    ratios = []
    for batch in batches:
        ratios.append(focal_factor * _believed(networks, batch))
        depth = predict_depths(networks.depth, batch.target, batch.K)[0]
        if (truth := moving(batch)) is not None:
            for name, mask in _found_moving(networks, batch, depth).items():
                overlaps.setdefault(name, []).append(_overlap(mask, truth))
        if batch.depth is None:
            continue
        miss = (depth - batch.depth).abs() / batch.depth
        known = (batch.depth > 0) & (batch.depth < FAR)
        for name, find in SPECIAL.items():
            where = find(batch)
            if where is not None:
                misses.setdefault(name, []).append(miss[where & known].numpy())
    found = {name: float(np.concatenate(parts).mean()) for name, parts in misses.items()}
    for name, parts in overlaps.items():
        both, either = torch.stack(parts).sum(0).tolist()
        found[name] = both / max(either, 1)
    x, y = torch.cat(ratios).median(0).values.tolist()
    return {**found, "focal_ratio": x, "focal_ratio_y": y}


def moving(batch: SnippetBatch) -> Tensor | None:
    """Pixels ``(B, 1, H, W)`` of what moves by itself."""
    return None if batch.instances is None else batch.instances[:, :1] > 0


def hidden(batch: SnippetBatch) -> Tensor | None:
    """Pixels ``(B, 1, H, W)`` inside a source's view, but behind something there.

    By splatting the true depth, so what hides them must be in the target's sight.
    """
    depth, T = batch.depth, batch.T_source_target
    if depth is None or T is None:
        return None
    depth = torch.where((depth > 0) & (depth < FAR), depth, FAR)
    warped = warp_sources(batch.sources, backproject(depth, batch.K), batch.K, T)
    return (warped.valid[:, :, 0] & ~splat_occlusion_mask(warped)).any(1, keepdim=True)


SPECIAL: dict[str, Callable[[SnippetBatch], Tensor | None]] = {
    "things_abs_rel": moving,
    "hidden_abs_rel": hidden,
}


def _found_moving(networks: NetworkPair, batch: SnippetBatch, depth: Tensor) -> dict[str, Tensor]:
    """Moving pixels ``(B, 1, H, W)`` as each method that can be used finds them."""
    found = {}
    if (probability := moving_mask(networks, batch)) is not None:
        found["moving_iou"] = probability > 0.5
    if batch.T_measured is not None:
        masks = [
            moving_pixels(with_tracks(_snippet(batch.select(slice(row, row + 1)))), here.numpy())
            for row, here in enumerate(depth[:, 0])
        ]
        found["flow_iou"] = torch.from_numpy(np.stack(masks))[:, None]
    return found


def _snippet(batch: SnippetBatch) -> Snippet:
    """Images, camera and measured motion of a batch's only snippet."""
    images = torch.cat((batch.target[:, None], batch.sources), dim=1)[0]
    pixels = (images * 255).round().byte().movedim(1, -1).contiguous().numpy()
    K, (height, width) = batch.K[0].double().numpy(), pixels.shape[1:3]
    camera = Intrinsics(K[0, 0], K[1, 1], K[0, 2], K[1, 2], width, height)
    assert batch.T_measured is not None  # the caller sees to it
    return Snippet(
        target=pixels[0],
        sources=pixels[1:],
        intrinsics=camera,
        displacements=batch.displacements[0].numpy(),
        stamps_ns=np.zeros(3, np.int64),
        T_measured=batch.T_measured[0].numpy(),
    )


def _believed(networks: NetworkPair, batch: SnippetBatch) -> Tensor:
    """Horizontal and vertical focal length over those of K, ``(B, 2)``."""
    pair = predict_source_motions(networks.pose, batch.target, batch.sources, batch.K)
    predicted = pair.intrinsics
    K = batch.K if predicted is None else predicted
    return K.diagonal(dim1=1, dim2=2)[:, :2] / batch.K.diagonal(dim1=1, dim2=2)[:, :2]


def _overlap(by_mask: Tensor, truth: Tensor) -> Tensor:
    """Pixels in both the moderator's mask and what moves, and in either, ``(2,)``."""
    return torch.stack(((by_mask & truth).sum(), (by_mask | truth).sum()))
