# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Anything V2 Small in its published layout, whose output is affine in inverse depth.

Published weights are not at hand: the checkpoint has their names and shapes, values by formula,
positions as slow waves over the image, which make its features differ by place, and a last layer
that is regressed on the inverse depth of a drive: 0.9 correlated with it, scaled and shifted.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from exact_drive import Drive
from published_checkpoints import published_state

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.published.depth_anything import depth_anything_names

CONFIG = DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine")
SIZE = (252, 70)
LAST = "decoder.heads."
POSITIONS = "pretrained.pos_embed"
LEARNT = range(0, 100, 12)  # images of the drive
GAIN, OFFSET = 5.0, 0.4  # of the output over inverse depth


def import_affine_model(folder: Path, drive: Drive) -> Path:
    """Write the checkpoint, and import it with ``sfm-depth import``."""
    checkpoint = _checkpoint(folder / "depth_anything_v2_vits.pth", drive)
    words = ("--format", "depth-anything-v2", "--head", "inverse-affine")
    size = ("--size", "x".join(map(str, SIZE)))
    assert main(["import", str(checkpoint), *words, *size, "--out", str(folder / "da")]) == 0
    return folder / "da"


def _checkpoint(path: Path, drive: Drive) -> Path:
    names = depth_anything_names(CONFIG)
    state = published_state(CONFIG, names)
    state[POSITIONS] = _waves(state[POSITIONS].shape)
    network = create_depth_network(CONFIG).eval()
    ours = {names.ours[name]: tensor for name, tensor in state.items()}
    network.load_state_dict(ours | {"log_scale": torch.zeros(()), "shift": torch.zeros(())})
    seen: list[torch.Tensor] = []
    network.decoder.heads.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        network.outputs(_images(drive))
    features = seen[0].movedim(1, -1)
    wanted = GAIN * _inverse_depth(drive, features.shape[1:3]) + OFFSET
    columns = torch.cat((features, torch.ones_like(features[..., :1])), dim=-1).flatten(0, 2)
    normal = columns.double().T @ columns.double()
    normal += 1e-4 * normal.diagonal().mean() * torch.eye(len(normal))  # small weights: exact sums
    right = columns.double().T @ wanted.flatten().double()
    solution = torch.linalg.solve(normal, right).float()
    theirs = {own: name for name, own in names.ours.items()}
    state[theirs[f"{LAST}weight"]] = solution[:-1].view(1, -1, 1, 1).clone()
    state[theirs[f"{LAST}bias"]] = solution[-1:].clone()
    torch.save(state, path)
    return path


def _waves(shape: torch.Size) -> torch.Tensor:
    """Cosines of four by four frequencies over a square of patches, nought for the class token."""
    side, channel = math.isqrt(shape[1] - 1), torch.arange(shape[2])
    place = torch.linspace(0.0, math.pi, side)
    down, right = channel % 4, channel // 4 % 4
    waves = torch.cos(place[:, None, None] * down + place[None, :, None] * right)
    return 10.0 * torch.cat((torch.zeros(1, shape[2]), waves.flatten(0, 1)))[None]


def _images(drive: Drive) -> torch.Tensor:
    images = [torch.from_numpy(drive.frames[i].image).movedim(-1, 0) / 255 for i in LEARNT]
    return torch.nn.functional.interpolate(torch.stack(images), SIZE[::-1], mode="area")


def _inverse_depth(drive: Drive, size: tuple[int, int]) -> torch.Tensor:
    inverse = torch.stack([torch.from_numpy(1.0 / drive.depths[i]) for i in LEARNT])
    return torch.nn.functional.interpolate(inverse[:, None].float(), size, mode="area")[:, 0]
