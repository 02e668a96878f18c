# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Moving mask as a message: only while somebody subscribes, once a second."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("torch", reason="torch is not installed")

from sfm_depth_ros.config.schema import DepthNetworkConfig, PoseNetworkConfig
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.ros import moving_view
from sfm_depth_ros.ros.conversions import stamp_to_ns
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.network_pair import fresh_networks

WIDTH, HEIGHT, STAMP_NS = 192, 96, 1_700_000_000_123_456_789


@pytest.fixture
def snippet() -> Snippet:
    """A standing camera before a texture, in which a square moves by 4 pixels an image."""
    rng = np.random.default_rng(0)
    wall = np.repeat(np.repeat(rng.integers(0, 255, (24, 48, 3), np.uint8), 4, 0), 4, 1)
    square = np.repeat(np.repeat(rng.integers(0, 255, (12, 12, 3), np.uint8), 4, 0), 4, 1)
    images = np.stack([wall] * 3)
    for image, column in zip(images, (68, 72, 76), strict=True):
        image[24:72, column : column + 48] = square
    return Snippet(
        target=images[1],
        sources=images[::2],
        intrinsics=Intrinsics.from_hfov(80.0, WIDTH, HEIGHT),
        displacements=np.zeros(2, np.float32),
        stamps_ns=np.array([STAMP_NS - 10**8, STAMP_NS, STAMP_NS + 10**8]),
        T_measured=np.stack([np.eye(4, dtype=np.float32)] * 2),
    )


@pytest.fixture
def node() -> SimpleNamespace:
    """Something with one publisher, of which it counts the listeners."""
    sent: list = []
    listeners = SimpleNamespace(count=1)
    publisher = SimpleNamespace(
        publish=sent.append, get_subscription_count=lambda: listeners.count
    )
    return SimpleNamespace(
        sent=sent, listeners=listeners, create_publisher=lambda *_, **__: publisher
    )


@pytest.fixture(scope="module")
def networks():
    return fresh_networks(DepthNetworkConfig(width=8), PoseNetworkConfig(width=8), 0).eval()


def test_what_moves_is_white(node, snippet, networks) -> None:
    moving_view.MovingView(node).show(snippet, networks, "camera")
    message = node.sent[0]
    assert (message.encoding, message.width, message.height) == ("mono8", WIDTH, HEIGHT)
    assert (message.header.frame_id, stamp_to_ns(message.header.stamp)) == ("camera", STAMP_NS)
    pixels = np.frombuffer(message.data, np.uint8).reshape(HEIGHT, WIDTH)
    assert set(np.unique(pixels)) == {0, 255}
    assert (pixels[28:68, 76:116] == 255).mean() > 0.8
    assert (pixels[:, :48] == 0).all() and (pixels[:, 144:] == 0).all()


def test_nothing_is_sent_to_nobody(node, snippet, networks) -> None:
    node.listeners.count = 0
    moving_view.MovingView(node).show(snippet, networks, "camera")
    assert not node.sent


def test_it_is_shown_once_a_second(node, snippet, networks, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(moving_view.time, "monotonic", lambda: now[0])
    view = moving_view.MovingView(node)
    for now[0] in (100.0, 100.5, 101.1):
        view.show(dataclasses.replace(snippet), networks, "camera")
    assert len(node.sent) == 2
