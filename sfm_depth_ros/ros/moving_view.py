# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Picture of what moves by itself, for people: published while somebody subscribes."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from sensor_msgs.msg import Image

from sfm_depth_ros.networks.predictions import predict_depths
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.conversions import array_to_image, header_at
from sfm_depth_ros.snippets.batch import collate
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.moving_pixels import moving_pixels
from sfm_depth_ros.training.network_pair import NetworkPair
from sfm_depth_ros.visual_odometry.snippet_tracks import with_tracks

TOPIC = "training/moving_mask"
PERIOD_S = 1.0  # between two pictures, which cost a pass of the depth network each


class MovingView:
    """Publisher of the moving pixels of the newest snippet.

    Args:
        node: Owner of the publisher.
    """

    def __init__(self, node: Any) -> None:
        self._publisher = node.create_publisher(
            Image, TOPIC, qos.output(), qos_overriding_options=qos.overrides()
        )
        self._shown_at = -math.inf

    def show(self, snippet: Snippet, networks: NetworkPair, frame_id: str) -> None:
        """Publish ``mono8``, 255 = moves, of a snippet's target; nothing if it is not wanted.

        Args:
            snippet: The newest one.
            networks: Whose depth is compared, in eval mode.
            frame_id: Of the camera.
        """
        is_soon = time.monotonic() - self._shown_at < PERIOD_S
        if is_soon or self._publisher.get_subscription_count() == 0:
            return
        self._shown_at = time.monotonic()
        mask = moving_pixels(with_tracks(snippet), _depth(snippet, networks))
        header = header_at(int(snippet.stamps_ns[1]), frame_id)
        pixels = np.where(mask, 255, 0).astype(np.uint8)
        self._publisher.publish(array_to_image(pixels, "mono8", header))


@torch.no_grad()
def _depth(snippet: Snippet, networks: NetworkPair) -> np.ndarray:
    """Depth ``(H, W)`` in metres of a snippet's target."""
    batch = collate([snippet]).to(networks.depth.log_scale.device)
    depth: np.ndarray = (
        predict_depths(networks.depth, batch.target, batch.K)[0][0, 0].cpu().numpy()
    )
    return depth
