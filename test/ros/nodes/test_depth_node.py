# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""depth_node as a process: what goes in, what comes out, and what bad input gets."""

from __future__ import annotations

import math
import shutil
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TwistWithCovarianceStamped
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import String

from sfm_depth_ros.estimation.depth_views import POINT_TYPE
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.conversions import stamp_to_ns
from sfm_depth_ros.ros.error_log import REPEAT_S


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("models_dir")


@pytest.fixture(scope="module")
def node(start_node, tiny_model, models_dir):
    return start_node(
        "depth_node", model=tiny_model.path, models_dir=models_dir, engine="onnxruntime"
    )


def _shoot_until(probe, camera, condition, seconds=20.0):
    """Publish at about 20 Hz until the condition holds."""

    def shot_and_done():
        camera.shoot()
        return condition()

    probe.until(shot_and_done, seconds)


def test_it_says_that_nothing_comes(node, probe):
    probe.until(lambda: probe.facts.get("state") == "active")
    probe.until(lambda: "no image has come" in probe.message)
    assert "nobody publishes it" in probe.message
    assert probe.facts["reason"] == probe.message


def test_without_camera_info_it_says_so_and_counts(node, probe, camera):
    probe.until(lambda: camera.images.get_subscription_count() > 0)
    for _ in range(5):
        camera.step()
        camera.images.publish(camera.image())
        probe.during(0.05)
    probe.until(lambda: "no camera_info" in probe.message)
    facts = probe.fresh_facts()
    assert (facts["received"], facts["dropped"], facts["published"]) == ("5", "5", "0")


@pytest.mark.parametrize("focal", [0.0, -100.0])
def test_an_impossible_focal_length_is_refused_and_said(node, probe, camera, focal):
    probe.until(lambda: camera.infos.get_subscription_count() > 0)
    camera.infos.publish(camera.info(focal))
    probe.until(lambda: "focal length" in probe.message)
    assert "camera_info" in probe.message


def test_what_goes_in_comes_out_with_its_header(node, probe, camera):
    depths = probe.collect(Image, "depth/image_rect")
    infos = probe.collect(CameraInfo, "depth/camera_info")
    odometry = probe.collect(Odometry, "ego_motion/odom")
    twists = probe.collect(TwistWithCovarianceStamped, "ego_motion/twist")
    _shoot_until(probe, camera, lambda: len(depths) >= 1)
    probe.during(0.5)
    sent = []
    for _ in range(10):
        sent.append(camera.shoot())
        probe.until(lambda: all(m[-1].header == sent[-1].header for m in (depths, infos)))
    assert [m.header for m in depths[-10:]] == [m.header for m in sent]
    assert [m.header for m in infos[-10:]] == [m.header for m in sent]
    depth, info = depths[-1], infos[-1]
    assert (depth.encoding, depth.width, depth.height, depth.step) == ("32FC1", 96, 32, 384)
    assert (info.width, info.height) == (96, 32)
    assert info.k[0] == pytest.approx(50.0)
    metres = np.frombuffer(depth.data, np.float32)
    assert np.all(np.isnan(metres) | (metres >= 0.1))
    last = sent[-1].header.stamp
    probe.until(lambda: odometry and twists and odometry[-1].header.stamp == last)
    pose = odometry[-1]
    assert (pose.header.frame_id, pose.child_frame_id) == ("odom_visual", "base_link")
    assert twists[-1].header.frame_id == "base_link"
    assert np.diag(np.reshape(pose.pose.covariance, (6, 6))).min() > 0


def test_points_and_colour_are_made_for_those_who_listen(node, probe, camera):
    clouds = probe.collect(PointCloud2, "depth/points")
    pictures = probe.collect(Image, "depth/color")
    _shoot_until(probe, camera, lambda: clouds and pictures)
    assert [field.name for field in clouds[0].fields] == ["x", "y", "z", "rgb"]
    assert (pictures[0].encoding, pictures[0].width) == ("rgb8", 96)
    assert clouds[0].header.frame_id == "camera_optical"


def test_confidence_and_landmarks_are_published_while_somebody_listens(node, probe, camera):
    with probe.listening(Image, "depth/confidence") as confidence:
        _shoot_until(probe, camera, lambda: confidence)
    with probe.listening(PointCloud2, "landmarks") as landmarks:
        _shoot_until(probe, camera, lambda: landmarks)
    assert confidence[-1].encoding == "32FC1"
    values = np.frombuffer(confidence[-1].data, np.float32)
    assert ((values >= 0) & (values <= 1)).all()
    fields = [field.name for field in landmarks[-1].fields]
    assert fields == ["x", "y", "z", "depth_std", "age"]
    facts = probe.fresh_facts()
    assert facts["ego_motion_source"] in (
        "standing",
        "visual",
        "fused",
        "odometer",
        "network",
        "none",
    )
    # its texture slides sideways while the odometer drives ahead, which is named in time
    faults = facts["input_faults"]
    assert (
        faults == "" or faults.startswith("through the mounting") or "lost in transport" in faults
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoding": "nv42"}, "nv42"),
        ({"step": 7}, "step"),
        ({"height": 8}, "camera_info is for 192x64"),
    ],
)
def test_a_bad_image_is_counted_and_said_and_the_next_one_works(
    node, probe, camera, changes, said
):
    before = probe.fresh_facts()
    camera.shoot(**changes)
    probe.until(lambda: said in probe.message)
    facts = probe.fresh_facts()
    assert int(facts["failed"]) == int(before["failed"]) + 1
    published = int(facts["published"])
    _shoot_until(probe, camera, lambda: int(probe.facts["published"]) > published)


def test_nan_in_the_velocity_is_refused_and_said(node, probe, camera):
    taken = int(probe.fresh_facts()["velocities"])
    camera.send_velocity(math.nan)
    probe.until(lambda: "finite" in probe.message)
    assert int(probe.fresh_facts()["velocities"]) == taken
    begun, lines = time.monotonic(), node.text.count("velocity: velocity is")
    for _ in range(30):
        camera.send_velocity(math.nan)
        camera.send_velocity(1.0)  # good ones between bad ones hide none of them
        probe.during(0.03)
    facts = probe.fresh_facts()
    assert int(facts["errors.velocity"]) == 31
    assert "velocity is" in facts["remarks"]
    periods = 1 + (time.monotonic() - begun) / REPEAT_S  # of one line as an error, one as a reason
    assert node.text.count("velocity: velocity is") - lines <= 2 * periods


def test_a_bad_camera_info_is_counted_and_logged_by_kind(node, probe, camera):
    before = int(probe.fresh_facts().get("errors.camera_info", 0))
    begun, lines = time.monotonic(), node.text.count("camera_info: ")
    for index in range(40):
        camera.infos.publish(camera.info(focal=-1.0 - index))
        probe.during(0.01)
    probe.until(lambda: int(probe.facts.get("errors.camera_info", 0)) == before + 40)
    periods = 1 + (time.monotonic() - begun) / REPEAT_S
    assert node.text.count("camera_info: ") - lines <= 2 * periods
    assert " x camera_info: " in probe.facts["error_kinds"]


def test_stamps_that_go_back_clear_the_history_and_go_on(node, probe, camera):
    camera.stamp_ns -= 60 * 10**9
    published = int(probe.fresh_facts()["published"])
    _shoot_until(probe, camera, lambda: "went back" in probe.facts["remarks"])
    _shoot_until(probe, camera, lambda: int(probe.facts["published"]) > published + 2)
    assert "stamps of images went back" in node.text
    assert "stamps of velocities went back" in node.text


def test_a_late_image_is_skipped_and_the_chain_goes_on(node, probe, camera):
    motions = probe.collect(Odometry, "ego_motion/odom")
    _shoot_until(probe, camera, lambda: len(motions) >= 2)
    before, late = probe.fresh_facts(), []
    for index in range(20):
        image = camera.shoot()
        if index % 5 == 4:
            old = camera.image()
            old.header.stamp.nanosec = max(0, image.header.stamp.nanosec - 50_000_000)
            if stamp_to_ns(old.header.stamp) < stamp_to_ns(image.header.stamp):
                probe.during(0.05)
                camera.images.publish(old)
                late.append(old)
        probe.during(0.05)
    facts = probe.fresh_facts()
    # a newer image may have replaced a late one before it was looked at
    assert 1 <= int(facts["late"]) - int(before["late"]) <= len(late)
    assert "stamps of images went back" not in facts["remarks"]


def test_every_image_is_accounted_for(node, probe, camera):
    before = probe.fresh_facts()
    for _ in range(60):  # the last one shows what was lost before it
        camera.shoot()
        probe.during(0.02)
    probe.during(1.0)
    facts = probe.fresh_facts()
    parts = [int(facts[name]) for name in ("published", "dropped", "failed", "late")]
    assert int(facts["received"]) == sum(parts)
    arrived, lost = (int(facts[name]) - int(before[name]) for name in ("received", "lost"))
    assert arrived + lost == 60
    assert float(probe.facts["latency_ms_p95"]) >= float(probe.facts["latency_ms_p50"]) > 0


def test_only_whole_models_inside_models_dir_are_taken(
    node, probe, camera, tiny_model, models_dir
):
    _shoot_until(probe, camera, lambda: "publishing" in probe.message)  # offers wait for a camera
    offers = probe.node.create_publisher(String, "model", qos.latched())
    offers.publish(String(data=str(tiny_model.path)))
    probe.until(lambda: "does not lie in models_dir" in probe.message)
    damaged = models_dir / "damaged"
    shutil.copytree(tiny_model.path, damaged)
    (damaged / "depth.onnx").write_bytes(b"something else")
    offers.publish(String(data=str(damaged)))
    probe.until(lambda: "depth.onnx" in probe.message)
    facts = probe.fresh_facts()
    assert (facts["models_refused"], facts["models_loaded"]) == ("2", "0")
    assert facts["model_id"] == tiny_model.model_id


def test_an_accepted_model_serves_from_one_frame_to_the_next(
    node, probe, camera, other_model, models_dir
):
    folder = models_dir / "accepted"
    shutil.copytree(other_model.path, folder)
    depths = probe.collect(Image, "depth/image_rect")
    offers = probe.node.create_publisher(String, "model", qos.latched())
    sent = []

    def served():
        sent.append(camera.shoot())
        return probe.facts["model_id"] == other_model.model_id

    offers.publish(String(data=str(folder)))
    probe.until(served)
    probe.during(0.5)
    assert probe.fresh_facts()["models_loaded"] == "1"
    stamps = [stamp_to_ns(message.header.stamp) for message in depths]
    assert stamps == sorted(set(stamps))
    assert int(probe.facts["failed"]) == 3


def test_parameters_change_live_or_say_why_not(node, probe):
    name = f"{probe.namespace}/depth_node/set_parameters"
    values = [Parameter("max_depth", value=20.0), Parameter("engine", value="torch")]
    messages = [value.to_parameter_msg() for value in values]
    dynamic, fixed = probe.call(SetParameters, name, parameters=messages).results
    assert dynamic.successful
    assert not fixed.successful
    assert "read" in fixed.reason


def test_points_are_gated_and_thinned_live(node, probe, camera):
    """The camera sits at the base's origin and looks ahead: what is above it has y < 0."""

    def cloud_with(**values):
        messages = [Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        name = f"{probe.namespace}/depth_node/set_parameters"
        results = probe.call(SetParameters, name, parameters=messages).results
        assert all(result.successful for result in results)
        with probe.listening(PointCloud2, "depth/points") as clouds:
            _shoot_until(probe, camera, lambda: len(clouds) >= 3)
        return np.frombuffer(clouds[-1].data, POINT_TYPE)

    everything = cloud_with(points_stride=1, anchoring="off", max_depth=100.0)
    assert everything["y"].min() < 0 < everything["y"].max()
    above = cloud_with(points_min_height=0.0)
    assert 0 < len(above) < len(everything)
    assert (above["y"] <= 0).all()
    nearest = float(np.quantile(above["z"], 0.5))
    near = cloud_with(points_max_depth=nearest)
    assert len(near) < len(above)
    assert (near["z"] <= nearest).all()
    sparse = cloud_with(points_max_depth=100.0, points_voxel_size=1.0)
    cells = {tuple(np.floor([point[axis] for axis in "xyz"])) for point in sparse}
    assert len(cells) == len(sparse) < len(above)
    cloud_with(
        points_min_height=-1000.0, points_voxel_size=0.0, points_stride=2, anchoring="local"
    )


def test_confidence_reaches_a_subscriber_that_comes_late(node, probe, camera):
    """After everything above: swapped models, jumps of time, a dozen other subscriptions."""
    with probe.listening(Image, "depth/confidence") as confidence:
        _shoot_until(probe, camera, lambda: len(confidence) >= 3)
    assert confidence[-1].header.frame_id == "camera_optical"
    assert confidence[-1].encoding == "32FC1"


def test_it_ends_within_two_seconds_while_it_infers(node, probe, camera):
    published = int(probe.facts["published"])
    _shoot_until(probe, camera, lambda: int(probe.facts["published"]) > published)
    for _ in range(10):
        camera.shoot()
    status, seconds = node.interrupt()
    assert (status, "Traceback" in node.text) == (0, False)
    assert seconds < 2.0
