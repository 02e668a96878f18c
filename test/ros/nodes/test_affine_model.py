# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""depth_node with an imported Depth Anything V2 Small: landmarks make its affine depth metric.

Published weights are not at hand: the checkpoint has their names and shapes, values by formula,
and a last layer that makes its output follow the image's rows, as inverse depth does on a road.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("torch")
pytest.importorskip("rosbags", reason="rosbags is not installed")
pytestmark = [pytest.mark.ros, pytest.mark.slow]

import torch
from exact_drive import make_drive, write_bag
from nav_msgs.msg import Odometry
from published_checkpoints import published_state
from sensor_msgs.msg import Image

from sfm_depth_ros.cli.main import main
from sfm_depth_ros.config.networks import DepthNetworkConfig
from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.networks.model import create_depth_network
from sfm_depth_ros.networks.published.depth_anything import depth_anything_names
from sfm_depth_ros.ros.conversions import stamp_to_ns

CONFIG = DepthNetworkConfig(name="depth_anything_v2_small", head="inverse-affine")
SIZE = (252, 70)
LAST = "decoder.heads."


def _checkpoint(path, images):
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


@pytest.fixture(scope="module")
def drive():
    return make_drive(100, speed=6.0)


@pytest.fixture(scope="module")
def model(drive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    images = [torch.from_numpy(drive.frames[i].image).movedim(-1, 0) / 255 for i in (0, 40, 80)]
    small = torch.nn.functional.interpolate(torch.stack(images), SIZE[::-1], mode="area")
    checkpoint = _checkpoint(folder / "depth_anything_v2_vits.pth", small)
    words = ("--format", "depth-anything-v2", "--head", "inverse-affine")
    size = ("--size", "x".join(map(str, SIZE)))
    assert main(["import", str(checkpoint), *words, *size, "--out", str(folder / "da")]) == 0
    return read_model_folder(folder / "da")


def test_depth_is_metric_and_motion_is_geometrys(start_node, model, drive, probe, tmp_path):
    bag = write_bag(tmp_path / "drive", drive, with_truth=False)
    images = probe.collect(Image, "depth/image_rect")
    motions = probe.collect(Odometry, "ego_motion/odom")
    start_node("depth_node", model=model.path, engine="onnxruntime", output_size="input")
    probe.until(lambda: "engine_depth" in probe.facts or "no image" in probe.message, 60.0)
    names = {"/camera/image_raw": "image", "/camera/camera_info": "camera_info", "/odom": "odom"}
    remaps = [f"{theirs}:={probe.namespace}/{ours}" for theirs, ours in names.items()]
    start_node("bag_player", remaps, options=[str(bag), "--wait-for", "1"])
    probe.until(lambda: len(images) > 60, 60.0)
    facts = probe.fresh_facts()
    assert "1/depth = " in facts["depth_correction"]
    assert facts["ego_motion_source"] != "network"
    assert "engine_pose" not in facts
    truths = {frame.stamp_ns: depth for frame, depth, _ in drive}
    ratios = []
    for message in images[40:]:  # four seconds after the first
        metres = np.frombuffer(message.data, np.float32).reshape(message.height, message.width)
        truth = truths[stamp_to_ns(message.header.stamp)]
        near = np.isfinite(truth) & (truth < 40) & np.isfinite(metres)
        ratios.append(np.median(metres[near] / truth[near]))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)
    speed = np.median([message.twist.twist.linear.x for message in motions[20:]])
    assert speed == pytest.approx(6.0, rel=0.02)
