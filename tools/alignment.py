# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion by direct alignment beside the pose network's and landmarks', on drives with truth."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfm_depth_ros.bags.frames import BagFrame, read_frames
from sfm_depth_ros.bags.selection import BagSelection
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.geometry.direct_alignment import align
from sfm_depth_ros.geometry.frames import invert
from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.networks.predictions import predict_depths
from sfm_depth_ros.share import SHIPPED_MODEL, find_share
from sfm_depth_ros.snippets.batch import images_to_tensor
from sfm_depth_ros.training.network_pair import NetworkPair, networks_of
from sfm_depth_ros.visual_odometry.visual_odometer import VisualOdometer
from tools.drives import render_drive

DRIVE = "--style street --seconds 8 --seed 12 --size 640x192"
WIDTH, TRACKING_WIDTH = 320, 640  # pixels
SHORTEST = 0.1  # metres: a shorter motion has no direction
METHODS = (
    "pose network", "alignment alone", "alignment from the pose network", "landmarks (visual)",
    "alignment from landmarks",
)  # fmt: skip


@dataclass(frozen=True)
class MotionErrors:
    """Means over image pairs with known motion."""

    pairs: int
    rotation_deg: float
    direction_deg: float  # Of the translation
    length: float  # Relative error of the translation's length
    ms: float  # CPU time of the method itself, without what it begins with


@torch.no_grad()
def measure(bag: str, networks: NetworkPair) -> dict[str, MotionErrors]:
    """Errors of every method on a bag with true poses.

    Args:
        bag: Folder of a rosbag2, or a part of it.
        networks: In eval mode.
    """
    errors: dict[str, list[tuple[float, ...]]] = {method: [] for method in METHODS}
    for motions, truth, milliseconds in _pairs(bag, networks):
        for method, T in motions.items():
            if T is not None:
                errors[method].append((*motion_errors(T, truth), milliseconds[method]))
    return {
        method: MotionErrors(len(found), *map(float, np.mean(found, axis=0)))
        for method, found in errors.items()
        if found
    }


def _pairs(
    bag: str, networks: NetworkPair
) -> Iterator[tuple[dict[str, np.ndarray | None], np.ndarray, dict[str, float]]]:
    """Motions ``T_earlier_later`` of each pair by method, the true one, and milliseconds."""
    selection = BagSelection.parse(bag)
    frames = read_frames(
        selection, NetworkInput(WIDTH, tracking_width=TRACKING_WIDTH), needs_velocity=True
    )
    odometer = VisualOdometer(frames.velocities, "visual")
    earlier: BagFrame | None = None
    for later in frames:
        begin, tracking = time.process_time(), later.frame.tracking
        assert tracking is not None  # asked for
        step = odometer.advance(
            tracking.grey, later.frame.stamp_ns, tracking.intrinsics, valid=tracking.valid
        )
        took = 1000 * (time.process_time() - begin)
        if earlier is not None and earlier.T_world_camera is not None:
            assert later.T_world_camera is not None
            truth = invert(earlier.T_world_camera) @ later.T_world_camera
            if np.linalg.norm(truth[:3, 3]) > SHORTEST:
                yield _of_pair(earlier, later, networks, step.T_earlier_later, took, truth)
        earlier = later


def _of_pair(
    earlier: BagFrame,
    later: BagFrame,
    networks: NetworkPair,
    landmarks: np.ndarray | None,
    landmarks_ms: float,
    truth: np.ndarray,
) -> tuple[dict[str, np.ndarray | None], np.ndarray, dict[str, float]]:
    source, target = (images_to_tensor(f.frame.image)[None] for f in (earlier, later))
    K = torch.tensor(later.frame.intrinsics.matrix, dtype=torch.float32)[None]
    depth = predict_depths(networks.depth, target, K)[0]
    begin = time.process_time()
    T_pose = _pose_motion(networks, source, target, K)
    motions: dict[str, np.ndarray | None] = {"pose network": T_pose, METHODS[3]: landmarks}
    took = {"pose network": 1000 * (time.process_time() - begin), METHODS[3]: landmarks_ms}
    starts = {METHODS[1]: np.eye(4), METHODS[2]: T_pose, METHODS[4]: landmarks}
    for method, start in starts.items():
        begin = time.process_time()
        if start is not None:
            T_start = torch.tensor(start, dtype=torch.float32)[None, None]
            motions[method] = align(target, source[None], depth, K, T_start)[0, 0].double().numpy()
        took[method] = 1000 * (time.process_time() - begin)
    return motions, truth, took


def _pose_motion(networks: NetworkPair, earlier: Tensor, later: Tensor, K: Tensor) -> np.ndarray:
    from sfm_depth_ros.networks.predictions import predict_motions

    # with the later image as the target, its first source is the earlier one
    T = predict_motions(networks.pose, earlier, later, later, K)
    return T[0, 0].double().numpy()


def motion_errors(T: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Rotation and direction errors in degrees, and the relative error of the length."""
    between = T[:3, :3].T @ truth[:3, :3]
    rotation = np.degrees(np.arccos(np.clip((np.trace(between) - 1) / 2, -1, 1)))
    length, true_length = np.linalg.norm(T[:3, 3]), np.linalg.norm(truth[:3, 3])
    cosine = T[:3, 3] @ truth[:3, 3] / max(length * true_length, 1e-9)
    direction = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return float(rotation), float(direction), float(abs(length / true_length - 1))


def table(bags: dict[str, dict[str, MotionErrors]]) -> str:
    """The figures as Markdown."""
    lines = [
        "| drive | motion by | rotation, deg | direction, deg | length | CPU ms a pair | pairs |",
        "|---|---|---|---|---|---|---|",
    ]
    for bag, methods in bags.items():
        for method, f in methods.items():
            lines.append(
                f"| {bag} | {method} | {f.rotation_deg:.3f} | {f.direction_deg:.2f} | "
                f"{100 * f.length:.1f} % | {f.ms:.1f} | {f.pairs} |"
            )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure a rendered drive and bags; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bags", nargs="*", metavar="BAG", help="bags with true poses")
    parser.add_argument("--model", type=Path, help="model folder (default: the shipped one)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="rendered drives")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.model or find_share(SHIPPED_MODEL)
    networks = networks_of(read_model_folder(folder)).eval()
    drive = render_drive(options.out, DRIVE)
    found = {"rendered street": measure(str(drive), networks)}
    found |= {Path(bag.partition("@")[0]).name: measure(bag, networks) for bag in options.bags}
    print(table(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
