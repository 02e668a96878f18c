# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""bag_player as a process: everything arrives, in order, in time, and looping goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("rosbags", reason="rosbags is not installed")
pytestmark = pytest.mark.ros

import rclpy
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.ros.bag_player import BagPlayer, parse
from sfm_depth_ros.ros.conversions import image_to_rgb, stamp_to_ns
from sfm_depth_ros.snippets.values import Velocity

START_NS = 1_700_000_000 * 10**9
PERIOD_NS = 50_000_000
COUNT = 20


def _pixels(index):
    return np.full((48, 64, 3), index, np.uint8)


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def bag(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / request.param
    camera = CameraModel.from_intrinsics(Intrinsics(50.0, 50.0, 31.5, 23.5, 64, 48), "camera")
    with BagWriter(path, request.param) as writer:
        writer.write_static_transform(START_NS, "base_link", "camera", np.eye(4))
        for index in range(COUNT):
            stamp_ns = START_NS + index * PERIOD_NS
            writer.write_camera_info(stamp_ns, camera)
            writer.write_image(stamp_ns, _pixels(index), "camera")
            velocity = Velocity(stamp_ns, np.array([1.0, 0, 0]), np.zeros(3))
            writer.write_odometry(velocity)
    return path


def test_everything_arrives_in_order_and_loops_go_on(bag, start_node, probe, tmp_path):
    images = probe.collect(Image, "/camera/image_raw", 50)
    infos = probe.collect(CameraInfo, "/camera/camera_info", 50)
    odometry = probe.collect(Odometry, "/odom", 50)
    clock = probe.collect(Clock, "/clock", 50)
    report = tmp_path / "sent.json"
    options = [str(bag), "--loop", "2", "--wait-for", "1", "--clock", "--json", str(report)]
    player = start_node("bag_player", options=options)
    probe.until(lambda: player.process.poll() is not None, 40)
    probe.during(0.3)
    assert (player.process.returncode, "Traceback" in player.text) == (0, False), player.text
    sent = json.loads(report.read_text())
    assert sent["images"] == sent["topics"]["/odom"] == 2 * COUNT
    assert len(images) == len(infos) == len(odometry) == 2 * COUNT
    stamps = np.array([stamp_to_ns(image.header.stamp) for image in images])
    assert stamps[0] == START_NS
    # a second lies between two rounds
    assert set(np.round(np.diff(stamps) * 1e-9, 6)) == {PERIOD_NS * 1e-9, 1.0}
    assert [int(image_to_rgb(image)[0, 0, 0]) for image in images] == [*range(COUNT)] * 2
    assert images[0].header.frame_id == "camera"
    times = [stamp_to_ns(message.clock) for message in clock]
    assert times == sorted(times)
    assert times[-1] >= stamps[-1]


def test_a_part_of_it_of_chosen_topics_remapped(bag, start_node, probe):
    images = probe.collect(Image, f"{probe.namespace}/here", 50)
    infos = probe.collect(CameraInfo, "/camera/camera_info", 50)
    options = [str(bag), "--topics", "/camera/image_raw", "--start", "0.25", "--duration", "0.5"]
    player = start_node(
        "bag_player",
        [f"/camera/image_raw:={probe.namespace}/here"],
        options=[*options, "--rate", "0.5", "--wait-for", "1"],
    )
    probe.until(lambda: player.process.poll() is not None, 40)
    probe.during(0.3)
    stamps = [stamp_to_ns(image.header.stamp) for image in images]
    assert stamps == [START_NS + index * PERIOD_NS for index in range(5, 16)]
    assert infos == []


def test_the_calibration_may_come_first(bag, start_node, probe):
    infos = probe.collect(CameraInfo, "/camera/camera_info", 50)
    images = probe.collect(Image, "/camera/image_raw", 50)
    player = start_node("bag_player", options=[str(bag), "--wait-for", "1", "--lead", "30"])
    probe.until(lambda: len(infos) >= 2)
    assert images == []
    assert player.interrupt()[0] == 0


def test_latched_topics_come_before_everything_else(tmp_path):
    """Also those that were recorded late, or before the part that is played."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    zero = QosTime(0, 0)
    latched = Qos(
        QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
        zero, zero, QosLiveliness.AUTOMATIC, zero, False,
    )  # fmt: skip
    store = get_typestore(Stores.ROS2_JAZZY)
    String_, path = store.types["std_msgs/msg/String"], tmp_path / "latched"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:

        def connect(topic, profiles=()):
            return writer.add_connection(
                topic, String_.__msgtype__, typestore=store, offered_qos_profiles=list(profiles)
            )

        def write(connection, seconds, text):
            data = store.serialize_cdr(String_(data=text), String_.__msgtype__)
            writer.write(connection, START_NS + round(seconds * 1e9), data)

        mast, sign, talk = connect("/mast_static"), connect("/sign", [latched]), connect("/talk")
        write(mast, 0.0, "front")
        write(mast, 0.1, "rear")
        for index in range(10):
            write(talk, 0.2 + 0.1 * index, str(index))
        write(sign, 1.1, "late")
    rclpy.init()
    try:
        with BagReader(path) as reader:
            player = BagPlayer(reader, parse([str(path), "--start", "0.45", "--rate", "100"]))
            sent = []
            for topic, output in player._outputs.items():
                is_latched = output._publisher.qos_profile.durability != DurabilityPolicy.VOLATILE
                assert is_latched == (topic != "/talk")
                output.publish = lambda cdr, offset_ns=0, topic=topic: sent.append(
                    (topic, deserialize_message(bytes(cdr), String).data)
                )
            player.publish_latched()
            expected = {("/mast_static", "front"), ("/mast_static", "rear"), ("/sign", "late")}
            assert set(sent) == expected
            player.play(threading.Event())
            assert sent[3:] == [("/talk", str(index)) for index in range(3, 10)]
            player.destroy_node()
    finally:
        rclpy.try_shutdown()


def test_a_signal_ends_it_cleanly_while_it_plays(bag, start_node, probe):
    images = probe.collect(Image, "/camera/image_raw", 50)
    player = start_node("bag_player", options=[str(bag), "--loop", "100"])
    probe.until(lambda: images)
    status, seconds = player.interrupt()
    assert (status, "Traceback" in player.text) == (0, False), player.text
    assert seconds < 2.0


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["nowhere"], 1, "nowhere does not exist: give the folder of a bag"),
        (["BAG", "--topics", "/nothing"], 1, "the bag has no topic /nothing"),
        (["BAG", "--rate", "0"], 2, "expected --rate above 0"),
        (["BAG", "--rate", "nan"], 2, "expected --rate above 0"),
        (["BAG", "--rate", "inf"], 2, "at most 1000"),
        (["BAG", "--start", "nan"], 2, "expected --start of 0 or more"),
        (["BAG", "--lead", "inf"], 2, "--lead from 0 to 3600"),
        (["BAG", "--ros-args", "-r", "__ns:=/a b"], 1, "error: ROS arguments: "),
    ],
)
def test_what_cannot_be_played_is_one_line(bag, arguments, status, said):
    words = [str(bag) if word == "BAG" else word for word in arguments]
    command = [sys.executable, "-m", "sfm_depth_ros.ros.main", "bag_player", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
