# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth Anything V2 Small in its published layout, whose inverse depth follows the image's rows.

Published weights are not at hand: the checkpoint has their names and shapes, values by formula,
and a last layer that makes its output follow the image's rows, as inverse depth does on a road.
"""

from __future__ import annotations

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


def _checkpoint(path: Path, images: torch.Tensor) -> Path:
    """Weights in the authors' layout; the output grows with the rows."""
    names = depth_anything_names(CONFIG)
    state = published_state(CONFIG, names)
    network = create_depth_network(CONFIG).eval()
    ours = {names.ours[name]: tensor for name, tensor in state.items()}
    network.load_state_dict(ours | {"log_scale": torch.zeros(()), "shift": torch.zeros(())})
    seen = []
    network.decoder.heads.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        network.outputs(images)
    features = seen[0].movedim(1, -1)
    rows = torch.linspace(0.5, 1.5, features.shape[1])[None, :, None].expand(features.shape[:3])
    columns = torch.cat((features, torch.ones_like(rows)[..., None]), dim=-1).flatten(0, 2)
    normal = columns.double().T @ columns.double()
    normal += 1e-2 * normal.diagonal().mean() * torch.eye(len(normal))  # small weights: exact sums
    right = columns.double().T @ rows.flatten().double()
    solution = torch.linalg.solve(normal, right).float()
    theirs = {own: name for name, own in names.ours.items()}
    state[theirs[f"{LAST}weight"]] = solution[:-1].view(1, -1, 1, 1).clone()
    state[theirs[f"{LAST}bias"]] = solution[-1:].clone()
    torch.save(state, path)
    return path


def import_affine_model(folder: Path, drive: Drive) -> Path:
    """Write the checkpoint, and import it with ``sfm-depth import``."""
    images = [torch.from_numpy(drive.frames[i].image).movedim(-1, 0) / 255 for i in (0, 40, 80)]
    small = torch.nn.functional.interpolate(torch.stack(images), SIZE[::-1], mode="area")
    checkpoint = _checkpoint(folder / "depth_anything_v2_vits.pth", small)
    words = ("--format", "depth-anything-v2", "--head", "inverse-affine")
    size = ("--size", "x".join(map(str, SIZE)))
    assert main(["import", str(checkpoint), *words, *size, "--out", str(folder / "da")]) == 0
    return folder / "da"
