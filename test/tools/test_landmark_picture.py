# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from exact_drive import CAMERA, create_oracle_engine, make_drive, oracle

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_estimator import DepthEstimator
from sfm_depth_ros.world.drive import RenderedFrame
from tools.landmark_picture import SIZE, draw


def test_landmarks_are_drawn_over_image_and_depth() -> None:
    drive = make_drive(10)
    camera = CameraModel.from_intrinsics(CAMERA)
    estimator = DepthEstimator(oracle(drive), camera, DepthNodeConfig(), create_oracle_engine)
    estimator.wants_confidence = True
    for frame in drive.frames:
        result = estimator.estimate(frame.image, frame.stamp_ns, "", drive.velocities)
    rendered = RenderedFrame(
        0, drive.frames[-1].image, drive.depths[-1], np.eye(4), np.eye(4), np.zeros((96, 320))
    )
    picture = draw(rendered, result)
    width, height = SIZE
    assert picture.shape == (3 * height, 2 * width, 3)
    held, over = picture[height : 2 * height, width:], picture[2 * height :, width:]
    below_titles = np.s_[20:]
    changed = (held[below_titles] != over[below_titles]).any(-1).mean()
    assert 0.01 < changed < 0.5
