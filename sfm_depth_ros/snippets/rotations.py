# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rotation augmentation: sources as seen by a camera that also rotated between the images.

A rotation about the camera's centre needs no depth: the image moves by ``K R K^-1``. Most images
of a drive show it going straight, so a pose network trained on them alone underestimates a sharp
rotation by half. Windows of larger images (``snippets/zoom.py``) have a margin, so that rotated
images have no border that would give the rotation away.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.se3 import axis_angle_to_matrix, compose_transform
from sfm_depth_ros.geometry.warping import project_points, warp_sources
from sfm_depth_ros.snippets.batch import SnippetBatch, rows_of_part
from sfm_depth_ros.snippets.zoom import ALL_VALID, scaled_sources

ROTATED_SHARE = 0.5  # of the batches
_PITCH_AND_ROLL = 0.25  # as large as yaw, of a robot that drives
_UNEVEN = 0.3  # how unlike the rotations before and after the target may be


def random_rotation(
    view: SnippetBatch,
    whole: SnippetBatch,
    largest_deg: float,
    generator: torch.Generator,
    part: tuple[int, int] = (0, 1),
) -> SnippetBatch:
    """Rotate the camera between the images of a view; snippets without a margin for it stay.

    Args:
        view: Windows of ``whole``, as ``random_view`` makes them.
        whole: The larger images.
        largest_deg: Largest additional yaw between two images, degrees.
        generator: Source of randomness (CPU).
        part: (rank, count) of processes: parts rotate as in the whole batch.
    """
    is_rotated = bool(torch.rand((), generator=generator) < ROTATED_SHARE)
    if not is_rotated or largest_deg == 0 or view is whole:
        return view
    drawn = 2 * torch.rand(part[1] * len(view), 4, generator=generator) - 1
    rotations = _axis_angles(drawn[rows_of_part(part, len(view))], math.radians(largest_deg))
    T_rotated_source = compose_transform(
        axis_angle_to_matrix(rotations), torch.zeros_like(rotations)
    )
    return _rotated(view, whole, T_rotated_source.to(view.K))


def _axis_angles(drawn: Tensor, largest: float) -> Tensor:
    """Axis times angle ``(B, 2, 3)`` for the earlier and the later image, of ``(B, 4)`` in ±1."""
    yaw, pitch, roll, uneven = drawn.unbind(1)
    rotation = largest * torch.stack((_PITCH_AND_ROLL * pitch, yaw, _PITCH_AND_ROLL * roll), 1)
    more = _UNEVEN * uneven[:, None]
    return torch.stack(
        (-rotation * (1 - more.clamp(min=0)), rotation * (1 + more.clamp(max=0))), 1
    )


def _rotated(view: SnippetBatch, whole: SnippetBatch, T_rotated_source: Tensor) -> SnippetBatch:
    scaled, K = scaled_sources(whole, float(whole.K[0, 0, 0] / view.K[0, 0, 0]))
    rays = backproject(torch.ones_like(view.target[:, :1]), view.K)
    T_source_rotated = T_rotated_source.transpose(-1, -2)
    warped = warp_sources(scaled, rays, view.K, T_source_rotated, K_source=_of_both(K))
    image, seen = warped.image[:, :, :3], warped.image[:, :, 3:]
    has_room = (warped.valid & (seen > ALL_VALID)).flatten(1).all(1)  # (B,)
    picked = has_room[:, None, None, None, None]
    T = torch.where(picked[..., 0], T_rotated_source, torch.eye(4).to(T_rotated_source))
    return dataclasses.replace(
        view,
        sources=torch.where(picked, image.clamp(0, 1), view.sources),
        T_source_target=None if view.T_source_target is None else T @ view.T_source_target,
        T_measured=None if view.T_measured is None else T @ view.T_measured,
        instances=_rotated_instances(view, whole, rays, T_source_rotated, has_room),
    )


def _rotated_instances(
    view: SnippetBatch,
    whole: SnippetBatch,
    rays: Tensor,
    T_source_rotated: Tensor,
    has_room: Tensor,
) -> Tensor | None:
    """Instance masks ``(B, 3, H, W)`` with the sources' rotated, where there is a margin."""
    if view.instances is None or whole.instances is None:
        return None
    size = (whole.target.shape[-2], whole.target.shape[-1])
    grid, _, _ = project_points(rays, view.K, T_source_rotated, size, None, _of_both(whole.K))
    marks = whole.instances[:, 1:].flatten(0, 1)[:, None].to(grid.dtype)
    rotated = functional.grid_sample(marks, grid.flatten(0, 1), "nearest", align_corners=True)
    rotated = rotated.view_as(view.instances[:, 1:]).to(view.instances.dtype)
    sources = torch.where(has_room[:, None, None, None], rotated, view.instances[:, 1:])
    return torch.cat((view.instances[:, :1], sources), dim=1)


def _of_both(K: Tensor) -> Tensor:
    """K ``(B, 3, 3)`` for each of two sources."""
    return K[:, None].expand(-1, 2, -1, -1)
