# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 user's day with the real tools: build, launch, lifecycle, parameters, topics, Ctrl-C.

Runs wherever colcon, ros2cli and launch_ros are installed, in a workspace of its own.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")
for tool in ("ros2", "colcon"):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed", allow_module_level=True)
pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(900)]

from exact_drive import make_drive, write_bag
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "out", "build", "install", "log", ".*_cache")
SPIN = ["--spin-time", "3", "--no-daemon"]


class Workspace:
    """A sourced colcon workspace with this package."""

    def __init__(self, root: Path, source: Path, *options: str) -> None:
        self.root = root
        shutil.copytree(source, root / "src" / "sfm_depth_ros", ignore=LEFT_OUT)
        path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        kept = [entry for entry in path if entry and Path(entry).resolve() != source]
        home = root / "home"
        home.mkdir()
        self.environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join(kept), "HOME": str(home),
            "ROS_LOG_DIR": str(root / "log"), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        built = self.run("colcon", "build", "--packages-select", "sfm_depth_ros", *options)
        assert built.returncode == 0, built.stdout

    def run(self, *words: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command, in the sourced workspace once that is built."""
        return subprocess.run(
            self._sourced(words), cwd=self.root, env=self.environment, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def launched(self, *arguments: str, file: str = "depth.launch.py"):
        """Launch, and end by Ctrl-C; the process has ``text`` and ``wait_for``."""
        running = Launched(self, ["ros2", "launch", "sfm_depth_ros", file, *arguments])
        try:
            yield running
        finally:
            running.end()

    def _sourced(self, words) -> list[str]:
        script = '. install/local_setup.sh 2>/dev/null; exec "$@"'
        return ["bash", "-c", script, "bash", *words]


class Launched:
    """ros2 launch in a process group of its own."""

    def __init__(self, workspace: Workspace, words: list[str]) -> None:
        self.log = workspace.root / f"launch_{time.monotonic_ns()}.log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                workspace._sourced(words), cwd=workspace.root, env=workspace.environment,
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, *patterns: str, seconds: float = 90.0) -> None:
        end = time.monotonic() + seconds
        while not all(re.search(pattern, self.text) for pattern in patterns):
            assert time.monotonic() < end and self.process.poll() is None, self.text
            time.sleep(0.1)

    def end(self) -> None:
        """Ctrl-C reaches the whole group, as in a terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=30)
        left = subprocess.run(
            ["ps", "-o", "args=", "-g", str(self.process.pid)],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        assert not left.strip(), f"still running after Ctrl-C: {left}"
        assert "Traceback" not in self.text, self.text


@pytest.fixture(scope="module", params=[(), ("--symlink-install",)], ids=["copied", "linked"])
def workspace(request, tmp_path_factory, source_tree):
    return Workspace(tmp_path_factory.mktemp("ws"), source_tree, *request.param)


def test_commands_are_found(workspace):
    executables = workspace.run("ros2", "pkg", "executables", "sfm_depth_ros").stdout
    for name in ("depth_node", "trainer_node", "bag_player", "sfm-depth"):
        assert f"sfm_depth_ros {name}" in executables
    found = workspace.run("bash", "-c", "command -v sfm-depth").stdout.strip()
    assert Path(found) == workspace.root / "install" / "sfm_depth_ros" / "bin" / "sfm-depth"
    assert "sfm_depth_ros" in workspace.run("sfm-depth", "--version").stdout


def test_colcon_test_runs_tests(workspace):
    done = workspace.run(
        "colcon", "test", "--packages-select", "sfm_depth_ros",
        "--pytest-args", "test/test_share.py", "test/test_versions.py",
    )  # fmt: skip
    result = workspace.run("colcon", "test-result", "--all").stdout
    counts = re.search(r"(\d+) tests, 0 errors, 0 failures", result)
    assert counts and int(counts[1]) >= 5, done.stdout + result


@pytest.mark.parametrize(
    ("file", "count"),
    [("depth.launch.py", 15), ("train.launch.py", 15), ("obstacles.launch.py", 3)],
)
def test_arguments_are_shown(workspace, file, count):
    shown = workspace.run("ros2", "launch", "sfm_depth_ros", file, "--show-args")
    assert shown.returncode == 0, shown.stdout
    assert len(re.findall(r"^    '\w+':", shown.stdout, re.MULTILINE)) >= count


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["image:=/cam/image_raw"], "no image has come on /cam/image_raw"),
        (["namespace:=robot"], "no image has come on /robot/image"),
        (["engine:=onnxruntime"], "depth_node.*activate: done"),
        (["image_transport:=compressed"], "depth_node.*activate: done"),
        (["use_sim_time:=true"], "depth_node.*activate: done"),
        (["model:=shipped", "log_level:=warn"], "no image has come"),
        (["train:=true"], "trainer_node.*activate: done"),
    ],
)
def test_each_argument_starts(workspace, arguments, expected):
    with workspace.launched(*arguments) as running:
        running.wait_for(expected)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("engine:=abacus", "abacus"),
        ("params_file:=/no/such/file", "params_file:=/no/such/file: no such file"),
        ("bag:=/no/such/bag", "bag:=/no/such/bag: no such file"),
        ("rviz:=true", "rviz2 is not installed"),
    ],
)
def test_a_wrong_argument_starts_nothing(workspace, argument, words):
    if argument == "rviz:=true" and shutil.which("rviz2"):
        pytest.skip("rviz2 is installed")
    done = workspace.run("ros2", "launch", "sfm_depth_ros", "depth.launch.py", argument)
    assert done.returncode != 0
    assert words in done.stdout and "process started" not in done.stdout


def test_lifecycle_parameters_and_topics(workspace):
    name = "/day/depth_node"

    def lifecycle(*words):
        for _ in range(5):  # without a daemon a call may miss the node on a busy machine
            text = workspace.run("ros2", "lifecycle", *words[:1], *SPIN, name, *words[1:]).stdout
            if "not found" not in text and "timed out" not in text:
                break
        return text

    with workspace.launched("namespace:=day") as running:
        running.wait_for("activate: done")
        assert "active [3]" in lifecycle("get")
        assert "Unknown transition" in lifecycle("set", "activate")
        for transition, state in (
            ("deactivate", "inactive"), ("cleanup", "unconfigured"),
            ("configure", "inactive"), ("activate", "active"),
        ):  # fmt: skip
            assert "Transitioning successful" in lifecycle("set", transition)
            assert state in lifecycle("get")
        rng = random.Random(0)
        for _ in range(12):
            lifecycle("set", rng.choice(["configure", "activate", "deactivate", "cleanup"]))
        assert running.process.poll() is None
        _parameters(workspace, name)
        topics = workspace.run("ros2", "topic", "list", "-t", *SPIN).stdout
        assert "/diagnostics [diagnostic_msgs/msg/DiagnosticArray]" in topics
        echo = workspace.run("timeout", "20", "ros2", "topic", "echo", "--once", "/diagnostics",
                             "diagnostic_msgs/msg/DiagnosticArray").stdout  # fmt: skip
        assert "day/depth_node" in echo


def _parameters(workspace, name):
    def param(verb, *words):
        return workspace.run("ros2", "param", verb, *SPIN, name, *words).stdout

    assert "65535" in param("get", "white_level")
    assert "successful" in param("set", "white_level", "4095")
    assert "4095" in param("get", "white_level")
    assert "read-only" in param("set", "engine", "torch")
    assert "failed" in param("set", "white_level", "0")
    assert "value of white" in param("describe", "white_level")
    assert "anchoring" in param("dump")


def test_two_robots_with_trainers(workspace):
    with workspace.launched("namespace:=left", "train:=true") as left:
        left.wait_for("trainer_node.*activate: done")
        with workspace.launched("namespace:=right", "train:=true") as right:
            right.wait_for("trainer_node.*activate: done")
        nodes = workspace.run("ros2", "node", "list", *SPIN).stdout
        assert "/left/trainer_node" in nodes and "/left/depth_node" in nodes
    folder = Path(workspace.environment["HOME"], ".ros", "sfm_depth_ros")
    assert {"left", "right"} <= {path.name for path in folder.iterdir()}


def test_a_bag_is_played(workspace):
    made = workspace.run("sfm-depth", "synth", "drive", "--seconds", "4", "--size", "320x96",
                         timeout=300)  # fmt: skip
    assert made.returncode == 0, made.stdout
    topics = ["image:=/camera/image_raw/compressed", "image_transport:=compressed",
              "camera_info:=/camera/camera_info", "odom:=/odom"]  # fmt: skip
    with workspace.launched("bag:=drive", *topics) as running:
        running.wait_for("depth_node.*serves, engines", "bag_player.*process has finished cleanly")


def test_an_imported_relative_model_becomes_metric(workspace):
    """Depth Anything V2 Small in its published layout: depth after four seconds, and the truth."""
    pytest.importorskip("torch")
    from affine_model import import_affine_model

    drive = make_drive(100, speed=6.0)
    model = import_affine_model(workspace.root, drive)
    bag = write_bag(workspace.root / "exact", drive, with_truth=False)
    options = workspace.root / "options.yaml"
    options.write_text("/**: {ros__parameters: {output_size: input}}\n")
    words = [f"model:={model}", f"bag:={bag}", f"params_file:={options}"]
    topics = ["image:=/camera/image_raw", "camera_info:=/camera/camera_info", "odom:=/odom"]
    context = rclpy.Context()
    rclpy.init(context=context)
    listener = rclpy.create_node("listener", context=context)
    seen = []
    listener.create_subscription(Image, "depth/image_rect", seen.append, 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(listener)
    try:
        with workspace.launched(*words, *topics) as running:
            while not re.search("bag_player.*process has finished cleanly", running.text):
                assert running.process.poll() is None, running.text
                executor.spin_once(timeout_sec=0.05)
            running.wait_for("engine openvino|engine onnxruntime|engine torch")
    finally:
        executor.shutdown()
        rclpy.shutdown(context=context)
    truths = {frame.stamp_ns: depth for frame, depth, _ in drive}
    errors = []
    for message in seen:
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        truth = truths[stamp_ns]
        metres = np.frombuffer(message.data, np.float32).reshape(truth.shape)
        near = np.isfinite(truth) & (truth < 40) & np.isfinite(metres)
        if stamp_ns - drive.frames[0].stamp_ns > 4e9:
            errors.append(metres[near] / truth[near] - 1)
    assert len(errors) >= 10  # a busy computer drops images
    assert np.median(np.concatenate(errors)) == pytest.approx(0.0, abs=0.1)
    assert np.mean(np.abs(np.concatenate(errors))) < 0.25


def test_doctor_looks_at_the_graph(workspace):
    with workspace.launched("namespace:=ill") as running:
        running.wait_for("activate: done")
        done = workspace.run("sfm-depth", "doctor", "--live", "--seconds", "3")
    assert done.returncode == 1
    assert "nobody publishes /ill/image" in done.stdout
