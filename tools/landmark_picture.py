# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Picture of landmarks over depth: ``python -m tools.landmark_picture docs/landmarks.png``."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.estimation.depth_views import depth_to_color
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.share import SHIPPED_MODEL, find_share
from sfm_depth_ros.snippets.velocity import VelocityBuffer
from sfm_depth_ros.visual_odometry.landmarks import Landmarks
from sfm_depth_ros.world.distribution import DEMO_CAMERA, DEMO_MOTION, DEMO_SEED
from sfm_depth_ros.world.drive import DriveSpec, RenderedFrame, SyntheticDrive

SIZE = 480, 144  # of a panel, pixels
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
CERTAIN = 0.05  # relative standard deviation of a landmark that is drawn full


def draw(frame: RenderedFrame, result: DepthResult) -> np.ndarray:
    """Landmarks over the image, depth of the network, depth held to landmarks, confidence, truth.

    Returns:
        ``(h, w, 3)`` uint8 RGB, panels of ``SIZE`` in two columns.
    """
    assert result.step is not None and result.confidence is not None
    landmarks = result.step.landmarks
    grey = np.repeat(result.confidence[..., None], 3, axis=2)
    truth = np.where(np.isfinite(frame.depth), frame.depth, np.inf).astype(np.float32)
    panels = {
        f"{len(landmarks)} landmarks, coloured by their depth": frame.image,
        "true depth": depth_to_color(truth),
        "depth of the network alone": depth_to_color(result.network_depth),
        "depth held to landmarks": depth_to_color(result.frame_depth),
        "confidence (white: surely within a metre)": (255 * grey).astype(np.uint8),
        "landmarks over the depth that they hold": depth_to_color(result.frame_depth),
    }
    drawn = [cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA) for image in panels.values()]
    _draw_landmarks(drawn[0], landmarks)
    _draw_landmarks(drawn[5], landmarks)
    for panel, title in zip(drawn, panels, strict=True):
        _write_title(panel, title)
    rows = [np.hstack(drawn[k : k + 2]) for k in range(0, len(drawn), 2)]
    return np.vstack(rows)


def _write_title(panel: np.ndarray, title: str) -> None:
    font, height = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    (width, _), _ = cv2.getTextSize(title, font, height, 1)
    cv2.rectangle(panel, (0, 0), (width + 12, 19), BLACK, -1)
    cv2.putText(panel, title, (6, 14), font, height, WHITE, 1, cv2.LINE_AA)


def _draw_landmarks(panel: np.ndarray, landmarks: Landmarks) -> None:
    """Discs, the smaller the less certain."""
    scale = SIZE[0] / landmarks.intrinsics.width
    colours = depth_to_color(landmarks.depth[None].astype(np.float32))[0]
    radii = np.clip(np.rint(4 * CERTAIN / landmarks.relative_std), 1, 4).astype(int)
    for pixel, colour, radius in zip(landmarks.pixels, colours, radii, strict=True):
        centre = tuple(round(16 * scale * float(value)) for value in pixel)
        cv2.circle(panel, centre, 16 * (int(radius) + 1), BLACK, -1, cv2.LINE_AA, 4)
        cv2.circle(panel, centre, 16 * int(radius), colour.tolist(), -1, cv2.LINE_AA, 4)


def estimate(folder: ModelFolder, seconds: float) -> tuple[RenderedFrame, DepthResult]:
    """Drive along the demo's street; the newest image and its result."""
    drive = SyntheticDrive(DriveSpec(DEMO_SEED, seconds, DEMO_CAMERA, motion=DEMO_MOTION))
    velocities = VelocityBuffer(drive.T_base_camera, max_gap_s=0.3)
    for k in range(round(20 * seconds) + 1):
        velocities.add(drive.velocity(round(k * 5e7)))
    camera = CameraModel.from_intrinsics(drive.intrinsics)
    width = min(folder.width, camera.width) // folder.multiple * folder.multiple
    config = DepthNodeConfig(input_width=width, precision="fp32")
    estimator = DepthEstimator(folder, camera, config)
    estimator.wants_confidence = True
    try:
        for frame in drive.frames():
            result = estimator.estimate(frame.image, frame.stamp_ns, "", velocities)
    finally:
        estimator.close()
    return frame, result


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--seconds", type=float, default=6.0, help="driven before the picture")
    options = parser.parse_args()
    folder = read_model_folder(find_share(SHIPPED_MODEL))
    picture = draw(*estimate(folder, options.seconds))
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(options.picture), bgr, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
