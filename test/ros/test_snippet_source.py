# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from exact_drive import CAMERA as DRIVE_CAMERA
from exact_drive import base_to_camera, make_drive

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.config.schema import TrainerNodeConfig
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.geometry.frames import matrix_to_pose, pose_to_matrix
from sfm_depth_ros.ros.conversions import array_to_image, header_at
from sfm_depth_ros.ros.error_log import ErrorLog
from sfm_depth_ros.ros.snippet_source import SnippetSource
from sfm_depth_ros.snippets.values import Velocity

PERIOD_NS = 100_000_000
CAMERA = CameraModel.from_intrinsics(Intrinsics(100.0, 100.0, 95.5, 31.5, 192, 64), "camera")


WALL = cv2.resize(
    np.random.default_rng(0).uniform(0, 255, (10, 80)).astype(np.float32),
    None,
    fx=12,
    fy=6.4,
    interpolation=cv2.INTER_CUBIC,
).clip(0, 255)


def passing(index):
    """Image ``(64, 192, 3)`` of a wall that passes by."""
    first = 4 * (index % 100)
    return np.repeat(WALL[:, first : first + 192, None].astype(np.uint8), 3, axis=2)


class Feed:
    """A source and what came out of it."""

    def __init__(self, config):
        self.snippets, self.errors = [], ErrorLog()
        width, narrows = config.input_width or 96, config.input_width == 0
        wanted = NetworkInput(width, config.crop, tracking_width=640, narrows=narrows)
        self.source = SnippetSource(config, wanted, self.snippets.append, self.errors)
        self.source.set_mounting(pose_to_matrix(config.base_to_camera))

    def image(self, index, encoding="rgb8", pixels=None):
        """Send an image, of a passing wall by default, and wait until it is decoded."""
        source = self.source
        done = source.frames + source.failed
        pixels = passing(index) if pixels is None else pixels
        message = array_to_image(pixels, "rgb8", header_at(index * PERIOD_NS, "camera"))
        message.encoding = encoding
        source.add_image(message)
        end = time.monotonic() + 5
        while source.frames + source.failed == done:
            assert time.monotonic() < end
            time.sleep(0.002)

    def velocity(self, index, speed=2.0):
        self.source.add_velocity(
            Velocity(index * PERIOD_NS, np.array([speed, 0.0, 0.0]), np.zeros(3))
        )


@pytest.fixture
def feed():
    made = Feed(TrainerNodeConfig())
    yield made
    made.source.close()


def test_no_image_is_taken_while_the_mounting_is_unknown(feed):
    feed.source.set_camera(CAMERA)
    feed.source.set_mounting(None)
    feed.source.add_image(
        array_to_image(np.zeros((64, 192, 3), np.uint8), "rgb8", header_at(0, ""))
    )
    assert (feed.source.dropped, feed.source.frames) == (1, 0)
    assert feed.source.T_base_camera is None
    backwards = np.diag([-1.0, -1.0, 1.0, 1.0])
    feed.source.set_mounting(backwards)
    feed.image(1)
    np.testing.assert_array_equal(feed.source.T_base_camera, backwards)


def test_three_images_and_their_velocities_make_a_snippet(feed):
    feed.source.set_camera(CAMERA)
    feed.image(0)
    for index in range(8):
        feed.velocity(index)
        feed.image(index + 1)
    assert len(feed.snippets) >= 4
    snippet = feed.snippets[0]
    assert snippet.target.shape == (32, 96, 3)
    assert snippet.displacements.tolist() == pytest.approx([0.2, 0.2])
    assert snippet.intrinsics.fx == pytest.approx(50.0)


def test_a_camera_narrower_than_the_model_is_taken_and_remarked_on(feed, caplog):
    narrow = Intrinsics(100.0, 100.0, 39.5, 31.5, 80, 64)
    with caplog.at_level("INFO"):
        feed.source.set_camera(CameraModel.from_intrinsics(narrow, "camera"))
        for index in range(8):
            feed.velocity(index)
            feed.image(index, pixels=passing(index)[:, :80])
    assert feed.snippets[0].target.shape == (64, 64, 3)  # 51 rows, padded to 64
    assert "64 columns wide instead of the model's 96" in feed.source.remarks
    assert caplog.text.count("columns wide") == 1


def test_before_the_calibration_images_are_counted_as_dropped(feed):
    message = array_to_image(np.zeros((64, 192, 3), np.uint8), "rgb8", header_at(0, "camera"))
    feed.source.add_image(message)
    assert (feed.source.dropped, feed.source.frames) == (1, 0)


def test_standing_still_teaches_nothing_and_says_so(feed):
    feed.source.set_camera(CAMERA)
    feed.image(0)
    for index in range(6):
        feed.velocity(index, speed=0.0)
        feed.image(index + 1)
    assert feed.snippets == []
    assert feed.source.refusals["standing"] > 0


@pytest.mark.parametrize("reason", ["untrackable", "black"])
def test_useless_images_make_no_snippets_and_are_named(feed, reason):
    feed.source.set_camera(CAMERA)
    feed.velocity(0)
    for index in range(25):
        feed.velocity(index + 1)
        pixels = np.random.default_rng(index).integers(0, 255, (64, 192, 3), np.uint8)
        feed.image(index, pixels=pixels * (reason != "black"))
    assert feed.snippets == []
    assert feed.source.refusals[reason] >= 20
    assert feed.source.gated.startswith(f"{reason}: ")
    assert "look" in feed.source.gated


def test_bad_velocities_are_counted_and_named(feed):
    feed.source.set_camera(CAMERA)
    feed.image(0)
    for index in range(30):
        feed.velocity(index, speed=np.nan if index % 2 else 2.0)
        feed.image(index + 1)
    assert feed.source.velocities_refused["not_finite"] == 15
    assert feed.source.gated.startswith("not_finite: ")
    assert all(np.allclose(snippet.displacements, 0.2) for snippet in feed.snippets)


@pytest.fixture(scope="module")
def drive():
    return make_drive(80, speed=6.0, yaw_rate=0.07)


@pytest.mark.parametrize(
    ("factor", "turn", "kinds"),
    [(1.0, 1.0, set()), (3.6, 1.0, {"speed_unit"}), (1.0, -1.0, {"yaw_sign"})],
)
def test_wrong_inputs_are_named_and_a_wrong_unit_is_not_learnt_from(drive, factor, turn, kinds):
    """Velocities come after their image, as live."""
    pose = tuple(float(number) for number in matrix_to_pose(base_to_camera()))
    feed = Feed(TrainerNodeConfig(base_to_camera=pose, input_width=128))
    feed.source.set_camera(CameraModel.from_intrinsics(DRIVE_CAMERA, "camera"))
    named, gated = set(), set()
    for index, frame in enumerate(drive.frames):
        feed.image(index, pixels=frame.image)
        angular = np.array([0.0, 0.0, 0.07 * turn])
        linear = np.array([6.0 * factor, 0.0, 0.0])
        feed.source.add_velocity(Velocity(index * PERIOD_NS, linear, angular))
        named |= {fault.kind for fault in feed.source.faults}
        gated.add(feed.source.gated)
    feed.source.close()
    assert named == kinds
    assert any("km/h" in text for text in gated) == ("speed_unit" in kinds)
    assert len(feed.snippets) > 50


def test_standing_for_a_moment_is_a_state(feed):
    feed.source.set_camera(CAMERA)
    feed.image(0)
    assert not feed.source.is_standing
    for index in range(20):
        feed.velocity(index, speed=0.0)
        feed.image(index + 1, pixels=passing(0))
    assert feed.source.is_standing
    assert feed.source.gated == ""


def test_a_bad_image_is_counted_and_the_next_one_is_taken(feed):
    feed.source.set_camera(CAMERA)
    feed.image(0, encoding="nv42")
    assert feed.source.failed == 1
    assert "nv42" in feed.errors.current()
    feed.image(1)
    assert feed.source.frames == 1
    assert feed.errors.current() is None


def test_gates_change_live(feed):
    feed.source.set_camera(CAMERA)
    feed.image(0)
    feed.source.configure(TrainerNodeConfig(min_displacement=1.0))
    for index in range(8):
        feed.velocity(index)
        feed.image(index + 1)
    assert feed.snippets == []


def test_no_snippet_spans_a_jump_in_time(feed):
    feed.source.set_camera(CAMERA)
    for index in range(101, 104):
        feed.image(index)
        feed.velocity(index)
    before = len(feed.snippets)
    for index in range(1, 6):
        feed.velocity(index)
        feed.image(index)
    new = feed.snippets[before:]
    assert all(np.ptp(snippet.stamps_ns) < 10**9 for snippet in new)
    assert all(snippet.stamps_ns.max() < 10**9 for snippet in new)


def test_extra_inputs_come_with_their_image(feed):
    source = feed.source
    source.expect(("right_image", "sparse_depth", "instance_mask"))
    P = CAMERA.P.copy()
    P[0, 3] = -30.0
    source.set_camera(CAMERA)
    source.set_right_camera(replace(CAMERA, P=P, frame_id="right"))
    for index in range(6):
        feed.velocity(index)
        header = header_at(index * PERIOD_NS, "camera")
        right = np.full((64, 192, 3), 10 * index, np.uint8)
        depth = np.full((64, 192), 1.0 + index, np.float32)
        mask = array_to_image(np.zeros((64, 576 // 3, 3), np.uint8)[..., 0], "32FC1", header)
        mask.encoding, mask.step = "mono8", 192
        mask.data = array.array("B", bytes([index]) * (64 * 192))
        source.add_beside("right_image", array_to_image(right, "rgb8", header))
        source.add_beside("sparse_depth", array_to_image(depth, "32FC1", header))
        source.add_beside("instance_mask", mask)
        feed.image(index)
    snippet = feed.snippets[0]
    index = round(snippet.stamps_ns[1] / PERIOD_NS)
    assert snippet.right.max() == snippet.right.min() == 10 * index
    assert snippet.T_right_target[0, 3] == pytest.approx(-0.3)
    assert snippet.sparse_depth.max() == 1.0 + index
    assert [int(m.max()) for m in snippet.instances] == [index, index - 1, index + 1]
    assert source.with_extra["right_image"] == source.frames


def test_an_image_does_not_wait_for_ever_for_what_never_comes(feed):
    source = feed.source
    source.expect(("sparse_depth",))
    source.set_camera(CAMERA)
    messages = [
        array_to_image(np.zeros((64, 192, 3), np.uint8), "rgb8", header_at(i * PERIOD_NS, "c"))
        for i in range(3)
    ]
    source.add_image(messages[0])
    source.add_image(messages[1])
    assert source.frames + source.dropped == 0
    source.add_image(messages[2])
    end = time.monotonic() + 5
    while source.frames == 0:
        assert time.monotonic() < end
        time.sleep(0.002)
    assert source.frames == 1


def test_a_bad_extra_input_costs_only_itself(feed):
    source = feed.source
    source.expect(("instance_mask",))
    source.set_camera(CAMERA)
    header = header_at(0, "camera")
    mask = array_to_image(np.zeros((64, 192, 3), np.uint8), "rgb8", header)
    source.add_beside("instance_mask", mask)
    feed.image(0)
    assert source.frames == 1
    assert source.with_extra["instance_mask"] == 0
    assert source.add_beside("right_image", mask) is None  # nobody expects it


def _focused(focal):
    return CameraModel.from_intrinsics(Intrinsics(focal, focal, 95.5, 31.5, 192, 64), "camera")


def test_a_refocused_camera_goes_on_with_what_was_gathered(feed):
    for index in range(9):
        feed.source.set_camera(_focused(100.0 + 0.3 * index))  # 0.3 % an image
        feed.velocity(index)
        feed.image(index)
    assert len(feed.snippets) >= 5
    assert feed.snippets[-1].intrinsics.fx > feed.snippets[0].intrinsics.fx
    assert feed.source.refusals["camera"] == 0


def test_counts_outlive_a_camera(feed):
    feed.source.set_camera(CAMERA)
    feed.image(0)
    for index in range(6):
        feed.velocity(index, speed=0.0)
        feed.image(index + 1)
    standing = feed.source.refusals["standing"]
    feed.source.set_camera(_focused(130.0))
    feed.image(8)
    assert feed.source.refusals["standing"] >= standing > 0
