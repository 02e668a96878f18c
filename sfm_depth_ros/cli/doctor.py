# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth doctor``: what would make frames get lost or a node fail, with the remedy."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sfm_depth_ros.config.schema import NodeConfig
from sfm_depth_ros.engine_table import ENGINES
from sfm_depth_ros.errors import ConfigError, EngineError, SfmDepthError
from sfm_depth_ros.inspection.finding import Finding
from sfm_depth_ros.optional import install_command, is_available
from sfm_depth_ros.share import share_path
from sfm_depth_ros.shared_memory import leftover_segments

RECEIVE_BUFFER = 4 * 1024 * 1024  # holds one 720p rgb8 image (2.8 MB) in flight
SHARED_MEMORY = 192 * 1024 * 1024  # two segments of 64 MB (config/fastdds.xml), and room
DISK = 1024**3  # a full snippet buffer and some models
NEEDED = {
    "safetensors": "safetensors",
    "cv2": "opencv-python-headless",
    "numpy": "numpy",
    "yaml": "pyyaml",
}
_TOPICS = {
    "image": "topic of the images (default: that of depth_node, else by type and name)",
    "camera-info": "topic of their calibration",
    "odom": "topic of the velocities",
}
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--models-dir", default=NodeConfig().models_dir, help="folder to check")
    inputs = parser.add_argument_group("inputs of a robot, instead of this computer")
    kind = inputs.add_mutually_exclusive_group()
    kind.add_argument("--live", action="store_true", help="listen to the running graph")
    kind.add_argument("--bag", metavar="BAG", help="look at a recording")
    inputs.add_argument(
        "--seconds", type=float, default=10.0, help="time to listen (default: %(default)g)"
    )
    for name, text in _TOPICS.items():
        inputs.add_argument(f"--{name}", default="", metavar="TOPIC", help=text)
    inputs.add_argument("--base-frame", default="", metavar="FRAME", help="frame of velocities")


def run(options: argparse.Namespace) -> int:
    """Print every finding; 1 when something must be mended.

    Raises:
        SfmDepthError: The inputs cannot be looked at.
    """
    if not 1.0 <= options.seconds <= 3600.0:
        raise ConfigError(f"--seconds: expected 1 to 3600, got {options.seconds:g}")
    if options.live:
        findings = examine_graph(options)
    elif options.bag is not None:
        findings = examine_bag(options)
    else:
        findings = list(examine(Path(options.models_dir).expanduser(), os.environ))
    for finding in findings:
        print(f"{finding.state:8} {finding.name:16} {finding.detail}")
        if finding.remedy:
            print(f"{'':8} {'':16} -> {finding.remedy}")
    problems = sum(finding.state == "problem" for finding in findings)
    print(f"{problems} to mend" if problems else "nothing to mend")
    return 1 if problems else 0


def examine_bag(options: argparse.Namespace) -> list[Finding]:
    """Look at a recording."""
    from sfm_depth_ros.bags.options import BagOptions
    from sfm_depth_ros.bags.topics import BagTopics
    from sfm_depth_ros.inspection.facts import facts_of_bag
    from sfm_depth_ros.inspection.report import findings_of

    topics = BagTopics(image=options.image, camera_info=options.camera_info, velocity=options.odom)
    return findings_of(
        facts_of_bag(options.bag, BagOptions(topics, base_frame=options.base_frame))
    )


def examine_graph(options: argparse.Namespace) -> list[Finding]:
    """Listen to the running graph, in a process of its own that may import ROS.

    Raises:
        SfmDepthError: There is no ROS 2, or it failed.
    """
    finding = check_ros(os.environ)
    if finding.state != "ok":
        return [finding]
    command = [sys.executable, "-m", "sfm_depth_ros.ros.graph_facts"]
    command += ["--seconds", str(options.seconds), "--base-frame", options.base_frame]
    for name in _TOPICS:
        command += [f"--{name}", getattr(options, name.replace("-", "_"))]
    print(f"listening for {options.seconds:g} s", file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SfmDepthError("the graph could not be inspected; the reason is above")
    return [Finding(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def examine(models_dir: Path, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything, one finding after another."""
    yield check_ros(environment)
    yield check_receive_buffer(Path("/proc/sys/net/core/rmem_max"))
    yield check_profile(environment)
    yield check_shared_memory(Path("/dev/shm"))
    yield check_leftovers(Path("/dev/shm"))
    yield check_domain(environment)
    yield check_tf2()
    yield check_engines()
    yield check_torch()
    yield check_packages()
    yield check_models_dir(models_dir)


def check_ros(environment: Mapping[str, str]) -> Finding:
    """Is there a ROS 2, and which middleware."""
    if not is_available("rclpy"):
        return Finding(
            "ROS 2",
            "problem",
            "rclpy cannot be found",
            ". /opt/ros/jazzy/setup.sh, or in a clone of this package: pip install -e .[ros]",
        )
    distribution = environment.get("ROS_DISTRO", "wheels")
    middleware = environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    return Finding("ROS 2", "ok", f"{distribution}, {middleware}")


def check_receive_buffer(path: Path) -> Finding:
    """Can a UDP socket hold an image: stock Ubuntu allows 212 kB."""
    try:
        size = int(path.read_text())
    except (OSError, ValueError):
        return Finding("receive buffer", "note", f"{path} cannot be read")
    if size >= RECEIVE_BUFFER:
        return Finding("receive buffer", "ok", f"net.core.rmem_max = {size}")
    return Finding(
        "receive buffer",
        "problem",
        f"net.core.rmem_max = {size}: images that come over UDP get lost",
        f"sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER} (keep it: echo net.core.rmem_max="
        f"{RECEIVE_BUFFER} | sudo tee /etc/sysctl.d/60-sfm-depth.conf), or use "
        "image_transport:=compressed",
    )


def check_profile(environment: Mapping[str, str]) -> Finding:
    """Is a Fast DDS profile set, and nothing that keeps others from discovering us."""
    if environment.get("FASTDDS_BUILTIN_TRANSPORTS", "").startswith("LARGE_DATA"):
        return Finding(
            "Fast DDS",
            "problem",
            "FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA: processes without it are not discovered",
            "unset FASTDDS_BUILTIN_TRANSPORTS",
        )
    for name in PROFILE_VARIABLES:
        path = environment.get(name)
        if path and not Path(path).is_file():
            return Finding("Fast DDS", "problem", f"{name}={path} is not a file", f"unset {name}")
    for name in PROFILE_VARIABLES:
        if environment.get(name):
            return Finding("Fast DDS", "ok", f"{name}={environment[name]}")
    return Finding(
        "Fast DDS",
        "note",
        "no profile in this shell; the launch files set config/fastdds.xml "
        "by themselves, a node started by hand loses large images without it",
        f"for such a node: export {PROFILE_VARIABLES[0]}={share_path('config/fastdds.xml')}",
    )


def check_shared_memory(path: Path) -> Finding:
    """Is there room for the profile's shared-memory segments."""
    if not path.is_dir() or not os.access(path, os.W_OK):
        return Finding(
            "shared memory",
            "problem",
            f"{path} is missing or not writable",
            "mount a tmpfs there (docker run --ipc=host)",
        )
    free = shutil.disk_usage(path).free
    if free < SHARED_MEMORY:
        return Finding(
            "shared memory",
            "problem",
            f"{free >> 20} MB free on {path}",
            "docker run --shm-size=512m or --ipc=host; or: fastdds shm clean",
        )
    return Finding("shared memory", "ok", f"{free >> 20} MB free on {path}")


def check_leftovers(path: Path) -> Finding:
    """Shared memory of nodes that were killed."""
    left = leftover_segments(path)
    if not left:
        return Finding("killed nodes", "ok", "no shared memory left by a process that died")
    size = sum(segment.stat().st_size for segment in left)
    return Finding(
        "killed nodes",
        "note",
        f"{len(left)} segments of dead processes hold {size >> 20} MB on {path}",
        "start a node, which removes them; or: rm "
        + " ".join(f"{segment} {segment}_el" for segment in left),
    )


def check_domain(environment: Mapping[str, str]) -> Finding:
    """Is the domain one that every platform has ports for."""
    domain = environment.get("ROS_DOMAIN_ID", "") or "0"
    if not domain.isdigit() or int(domain) > 101:
        return Finding(
            "domain",
            "problem",
            f"ROS_DOMAIN_ID={domain}",
            "export ROS_DOMAIN_ID=0 (0 to 101 work everywhere)",
        )
    reach = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    return Finding("domain", "ok", f"ROS_DOMAIN_ID={domain}, discovery {reach}")


def check_tf2() -> Finding:
    """Source of the camera's mounting."""
    if is_available("tf2_ros"):
        return Finding("tf2", "ok", "tf2_ros found: extrinsics come from /tf")
    return Finding("tf2", "note", "tf2_ros not found: the parameter base_to_camera is used")


def check_engines() -> Finding:
    """Can anything compute depth."""
    from sfm_depth_ros.engines.tensorrt.cuda_driver import load_cuda

    found = [name for name, kind in ENGINES.items() if any(map(is_available, kind.modules))]
    remedy = "pip install openvino onnxruntime"
    if not found:
        return Finding("engines", "problem", f"none of {', '.join(ENGINES)} is installed", remedy)
    if all(ENGINES[name].needs_gpu for name in found):
        try:
            load_cuda()
        except EngineError as error:
            return Finding("engines", "problem", f"only {', '.join(found)}: {error}", remedy)
    return Finding("engines", "ok", ", ".join(found))


def check_torch() -> Finding:
    """Can the trainer run."""
    if is_available("torch"):
        return Finding("training", "ok", "torch found")
    return Finding(
        "training",
        "note",
        "torch not found: depth_node works, trainer_node does not "
        "(pip install torch onnx onnxscript)",
    )


def check_packages() -> Finding:
    """Packages that every command and both nodes import."""
    missing = [pip for module, pip in NEEDED.items() if not is_available(module)]
    if missing:
        names = " ".join(missing)
        lack = f"{names} not found: no model can be read and no image decoded without"
        return Finding("packages", "problem", lack, f"pip install {names}")
    if not is_available("rosbags"):
        lack = "rosbags not found: bags cannot be read, written or played"
        return Finding("packages", "note", lack, install_command("rosbags"))
    return Finding("packages", "ok", ", ".join(NEEDED))


def check_models_dir(models_dir: Path) -> Finding:
    """Can accepted models be written."""
    existing = next(path for path in (models_dir, *models_dir.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Finding(
            "models_dir",
            "problem",
            f"{existing} is not writable",
            f"chown or remove it, or set the parameter models_dir ({models_dir})",
        )
    free = shutil.disk_usage(existing).free
    if free < DISK:
        return Finding(
            "models_dir",
            "problem",
            f"{free >> 20} MB free for {models_dir}",
            "free some disk space, or set the parameters models_dir and buffer_dir",
        )
    return Finding("models_dir", "ok", f"{models_dir}, {free >> 30} GB free")
