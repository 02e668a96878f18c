# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both nodes as processes on a rendered drive: a few steps of training, and the hand-over."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.ros

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from sfm_depth_ros.model_folder.folder import read_model_folder
from sfm_depth_ros.ros import conversions, qos
from sfm_depth_ros.training.online.status import AT_WORK
from sfm_depth_ros.world.drive import CameraSpec, DriveSpec, SyntheticDrive

CAMERA = CameraSpec(width=128, height=64, hfov_deg=80.0, height_m=0.8, pitch_deg=5.0)


class Robot:
    """Drives through the rendered world, again and again, its stamps going on."""

    def __init__(self, probe):
        self._drive = SyntheticDrive(DriveSpec(seed=3, seconds=4.0, camera=CAMERA))
        self._frames = [self._drive.frame(index) for index in range(len(self._drive))]
        node = probe.node
        self.images = node.create_publisher(Image, "image", 10)
        self._infos = node.create_publisher(CameraInfo, "camera_info", 10)
        self._odometry = node.create_publisher(Odometry, "odom", 50)
        self._index = 0

    def advance(self):
        """Publish the next frame and its velocity."""
        lap, index = divmod(self._index, len(self._frames))
        frame = self._frames[index]
        # a pause between laps, which no snippet may span
        stamp_ns = 10**18 + frame.stamp_ns + lap * 6 * 10**9
        header = conversions.header_at(stamp_ns, "camera_optical")
        self._send_velocity(stamp_ns, self._drive.velocity(frame.stamp_ns))
        self._infos.publish(conversions.intrinsics_to_camera_info(self._drive.intrinsics, header))
        self.images.publish(conversions.array_to_image(frame.image, "rgb8", header))
        self._index += 1

    def _send_velocity(self, stamp_ns, velocity):
        message = Odometry(header=conversions.header_at(stamp_ns, "odom"))
        message.child_frame_id = "base_link"
        linear, angular = message.twist.twist.linear, message.twist.twist.angular
        linear.x, linear.y, linear.z = (float(number) for number in velocity.linear)
        angular.x, angular.y, angular.z = (float(number) for number in velocity.angular)
        self._odometry.publish(message)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("live") / "models"


@pytest.fixture(scope="module")
def depth_node(start_node, tiny_model, models_dir):
    return start_node(
        "depth_node", model=tiny_model.path, models_dir=models_dir, engine="onnxruntime"
    )


@pytest.fixture(scope="module")
def trainer_node(start_node, tiny_model, models_dir):
    return start_node(
        "trainer_node",
        model=tiny_model.path,
        models_dir=models_dir,
        training__min_snippets=6,
        training__batch_size=2,
        training__synthetic_share=0.0,
        training__validate_every=4,
        training__calibrate_scale=False,
        training__niceness=0,
    )


@pytest.fixture(scope="module")
def robot(probe):
    return Robot(probe)


@pytest.fixture(scope="module")
def status(probe):
    """The newest facts of training/status."""
    newest = {}

    def take(message):
        newest.update({value.key: value.value for value in message.status[0].values})

    probe.node.create_subscription(DiagnosticArray, "training/status", take, 10)
    return newest


def _drive_until(probe, robot, condition, seconds=40.0):
    def done():
        robot.advance()
        return condition()

    probe.until(done, seconds)


def test_it_trains_on_what_it_sees(depth_node, trainer_node, probe, robot, status):
    probe.until(lambda: robot.images.get_subscription_count() == 2, 40)
    _drive_until(probe, robot, lambda: int(status.get("steps", 0)) >= 3)
    assert status["state"] in AT_WORK
    assert float(status["loss.photometric"]) > 0
    assert int(status["buffer"]) >= 6
    assert float(status["step_ms"]) > 0


def test_a_saved_model_is_handed_over_and_nothing_is_lost(
    depth_node, trainer_node, probe, robot, status, tiny_model, models_dir
):
    start = probe.fresh_facts()
    before = start["model_id"]
    answer = probe.call(Trigger, f"{probe.namespace}/trainer_node/save_model")
    assert answer.success, answer.message
    saved = read_model_folder(answer.message)
    assert saved.model_id != before
    assert saved.parent is not None
    assert (models_dir / "current").resolve().parent == models_dir
    _drive_until(probe, robot, lambda: probe.facts["model_id"] not in ("", before))
    facts = probe.fresh_facts()
    assert (facts["failed"], facts["models_refused"]) == ("0", "0")
    assert facts["lost"] == start["lost"]


def test_what_moves_is_published_while_somebody_subscribes(trainer_node, probe, robot, tiny_model):
    with probe.listening(Image, "training/moving_mask") as seen:
        _drive_until(probe, robot, lambda: seen)
    mask = seen[0]
    assert (mask.encoding, mask.width) == ("mono8", tiny_model.width)  # the network's image
    assert len(mask.data) == mask.width * mask.height
    assert mask.header.frame_id == "camera_optical"
    assert mask.header.stamp.sec >= 10**9  # the image's own
    assert set(bytes(mask.data)) <= {0, 255}


def test_late_joiners_get_the_newest_model(trainer_node, probe, models_dir):
    seen = probe.collect(String, "model", qos.latched())
    probe.until(lambda: seen)
    assert read_model_folder(seen[-1].data).path.parent == models_dir


def test_training_can_be_paused_and_goes_on(trainer_node, probe, robot, status):
    name = f"{probe.namespace}/trainer_node/set_training"
    assert probe.call(SetBool, name, data=False).success
    probe.until(lambda: status["state"] == "paused")
    assert status["reason"] == "by request"
    assert probe.call(SetBool, name, data=True).success
    _drive_until(probe, robot, lambda: status["state"] in AT_WORK)


def test_rollback_and_reset_answer(trainer_node, probe, robot, status):
    assert probe.call(Trigger, f"{probe.namespace}/trainer_node/rollback").success
    assert probe.call(Trigger, f"{probe.namespace}/trainer_node/reset").success
    waiting = ("collecting", "waiting_for_camera", "waiting_for_velocity")
    probe.until(lambda: status["state"] in waiting and status["steps"] == "0")
    response = probe.call(Trigger, f"{probe.namespace}/trainer_node/accept_scale")
    assert not response.success
    assert "no measured scale" in response.message
    _drive_until(probe, robot, lambda: int(status["steps"]) >= 1)


def test_it_ends_within_two_seconds_while_it_trains(depth_node, trainer_node):
    for node in (trainer_node, depth_node):
        status, seconds = node.interrupt()
        assert (status, "Traceback" in node.text) == (0, False), node.text
        assert seconds < 2.0
