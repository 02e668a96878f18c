# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of a model on snippets without truth, one a snippet, so that models can be paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.config.schema import ObjectiveConfig
from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import warp_sources
from sfm_depth_ros.losses.photometric import photometric_error
from sfm_depth_ros.losses.reprojection import reduce_sources
from sfm_depth_ros.networks.predictions import predict_depths, predict_motions
from sfm_depth_ros.snippets.batch import SnippetBatch
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.training.scale_calibration import with_measured_length
from sfm_depth_ros.training.validation import landmark_errors

FEWEST_WITH_LANDMARKS = 4  # snippets, below which landmarks have no share in a verdict
LEAST_WITH_LANDMARKS = 0.5  # of the snippets, the same: in scenes without texture they are few


@dataclass(frozen=True, eq=False)
class FrameErrors:
    """Errors of one model, one number a snippet; NaN where a part is unknown."""

    photometric: np.ndarray  # `(N,)` of the target rebuilt over translations of measured length
    translation: np.ndarray  # `(N,)` mean over both pairs of |predicted / measured length - 1|
    landmark: np.ndarray  # `(N,)` abs_rel against landmarks, unscaled
    translation_ratio: np.ndarray  # `(N,)` predicted / measured length
    depth_ratio: np.ndarray  # `(N,)` median of predicted / landmark's depth

    def __len__(self) -> int:
        return len(self.photometric)

    @property
    def is_finite(self) -> bool:
        """Whether the networks predicted numbers for every snippet."""
        return len(self) > 0 and bool(np.isfinite(self.photometric + self.translation).all())


@torch.no_grad()
def frame_errors(
    networks: NetworkPair,
    batches: Sequence[SnippetBatch],
    landmarks: Sequence[Tensor],
    objective: ObjectiveConfig,
) -> FrameErrors:
    """Judge a model by what a robot has: images, an odometer, and landmarks made of both.

    Where fewer than half of the snippets have landmarks, or fewer than four, none has: a few would
    carry half of a verdict, and in a scene without texture they are silhouettes'. The scale of the
    smallest photometric error is no stand-in: it is one coarse number for all snippets, and the
    photometric error is there already.

    Args:
        networks: In eval mode.
        batches: Snippets with measured displacements, held out from training.
        landmarks: ``(B, 1, H, W)`` metres of every batch, as ``landmark_depths`` returns them.
        objective: Weights of the photometric error.
    """
    photometric, lengths = [], []
    for batch in batches:
        depth = predict_depths(networks.depth, batch.target, batch.K)[0]
        T = predict_motions(
            networks.pose, batch.sources[:, 0], batch.target, batch.sources[:, 1], batch.K
        )
        lengths.append((T[..., :3, 3].norm(dim=-1) / batch.displacements).cpu())
        photometric.append(_photometric(batch, depth, T, objective))
    ratio = torch.cat(lengths).double().numpy()  # (N, 2)
    found = landmark_errors(networks.depth, batches, landmarks, on_edges=True)
    landmark, depth_ratio = found.abs_rel, found.scale_ratio
    if found.snippets < max(FEWEST_WITH_LANDMARKS, LEAST_WITH_LANDMARKS * len(ratio)):
        landmark = depth_ratio = np.full(len(ratio), np.nan)
    return FrameErrors(
        photometric=np.concatenate(photometric),
        translation=np.abs(ratio - 1).mean(axis=1),
        landmark=landmark,
        translation_ratio=ratio.mean(axis=1),
        depth_ratio=depth_ratio,
    )


def _photometric(
    batch: SnippetBatch, depth: Tensor, T: Tensor, objective: ObjectiveConfig
) -> np.ndarray:
    """``(B,)`` mean photometric error; what no source shows is as wrong as without any motion.

    So all models are judged on the same pixels.
    """
    stretched = with_measured_length(T, batch.displacements)[0]
    target, sources = batch.target.contiguous().unsqueeze(1), batch.sources.contiguous()
    warped = warp_sources(sources, backproject(depth, batch.K), batch.K, stretched)
    ssim = objective.ssim_weight
    error = photometric_error(warped.image, target, ssim)[:, :, 0]
    identity = photometric_error(sources, target, ssim)[:, :, 0]
    inside = warped.valid[:, :, 0]
    smallest = reduce_sources(error, inside, identity, objective.reduction)[0]
    smallest = torch.where(inside.any(dim=1, keepdim=True), smallest, identity.amin(1, True))
    valid = torch.ones_like(smallest) if batch.valid is None else batch.valid.to(smallest.dtype)
    pixels = valid.flatten(1).sum(dim=1).clamp(min=1)
    return ((smallest * valid).flatten(1).sum(dim=1) / pixels).double().cpu().numpy()
