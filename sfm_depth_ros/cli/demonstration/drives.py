# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drives of a demo: the recorded or rendered bags, and their contents."""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfm_depth_ros import world
from sfm_depth_ros.bags.reader import BagReader
from sfm_depth_ros.bags.rig import read_rig
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.cli.demonstration.processes import worker_pool
from sfm_depth_ros.geometry.frames import matrix_to_pose

SECOND_SECONDS = 60.0
MOVING_OBJECTS = 1
RATE_HZ = 10.0
JPEG_QUALITY = 95
PROGRESS_S = 2.0


@dataclass(frozen=True)
class DemoDrive:
    """One drive of the demo's camera."""

    name: str  # For the terminal
    seed: int  # What the place looks like and how it is driven
    seconds: float  # Length
    folder: Path  # Where rendered drives are kept

    @property
    def path(self) -> Path:
        """The bag; another renderer or another length makes another bag."""
        return self.folder / f"street_{self.seconds:.0f}s_{self.seed}_{_renderer_version()}"


def rendered_drives(out: Path, seconds: float) -> tuple[Path, Path]:
    """Render the drive to learn from and the second one, unless they are there already.

    Args:
        out: The demo's folder.
        seconds: Length of the first drive.
    """
    from sfm_depth_ros.world.distribution import DEMO_SECOND_SEED, DEMO_SEED

    folder = out / "drives"
    first = DemoDrive("the drive", DEMO_SEED, seconds, folder)
    second = DemoDrive("a second drive", DEMO_SECOND_SEED, min(seconds, SECOND_SECONDS), folder)
    missing = [drive for drive in (first, second) if not drive.path.exists()]
    if missing:
        print("rendering: a street, a camera 1.10 m high, 6.5 deg down, 80 deg wide", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        with worker_pool() as pool:
            pool.map(_render, missing, chunksize=1)
    return first.path, second.path


def _render(drive: DemoDrive) -> None:
    """Write the bag aside and rename it: what is there is whole."""
    import torch

    from sfm_depth_ros.world.distribution import DEMO_CAMERA, DEMO_MOTION, DEMO_STYLE
    from sfm_depth_ros.world.drive import DriveSpec, SyntheticDrive
    from sfm_depth_ros.world.recording import RecordingSpec, write_drive

    torch.set_num_threads(1)
    rendered = SyntheticDrive(
        DriveSpec(
            drive.seed,
            drive.seconds,
            DEMO_CAMERA,
            RATE_HZ,
            DEMO_STYLE,
            MOVING_OBJECTS,
            motion=DEMO_MOTION,
        )
    )
    aside = drive.folder / "unfinished" / drive.path.name
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    reported, recording = time.monotonic(), RecordingSpec(jpeg_quality=JPEG_QUALITY)
    with BagWriter(aside) as writer:
        for count, _ in enumerate(write_drive(rendered, writer, recording), 1):
            if time.monotonic() - reported > PROGRESS_S or count == len(rendered):
                reported = time.monotonic()
                print(f"  {drive.name}: {count} of {len(rendered)} images", flush=True)
    aside.rename(drive.path)


def _renderer_version() -> str:
    """Eight digits that change whenever the renderer's source does."""
    sources = sorted(Path(world.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]


TRANSPORTS = {"sensor_msgs/msg/Image": "raw", "sensor_msgs/msg/CompressedImage": "compressed"}
VELOCITY_SOURCES = {
    "nav_msgs/msg/Odometry": "odom",
    "geometry_msgs/msg/TwistStamped": "twist",
    "geometry_msgs/msg/TwistWithCovarianceStamped": "twist_with_covariance",
}
VELOCITY_TOPICS = {"odom": "odom", "twist": "twist", "twist_with_covariance": "twist"}
MAX_VELOCITY_GAP_S = 0.3


@dataclass(frozen=True)
class BagFacts:
    """One bag, as far as playing it to the nodes goes."""

    path: Path  # The bag
    duration_s: float  # Seconds from the first message to the last
    images: int  # Images recorded
    parameters: dict[str, Any]  # Parameters of both nodes that depend on the bag
    remappings: dict[str, str]  # Topic of the nodes -> topic of the bag

    @property
    def topics(self) -> list[str]:
        """Topics to play: never the ground truth."""
        return list(self.remappings.values())


def read_facts(path: Path) -> BagFacts:
    """Look into a bag.

    Raises:
        DataError: Images, calibration, odometry or the static transforms are missing.
    """
    with BagReader(path) as reader:
        topics, recorded = reader.topics, reader.recorded
        rig = read_rig(reader, MAX_VELOCITY_GAP_S, needs_velocity=True)
        source = VELOCITY_SOURCES[recorded[topics.velocity]]
        return BagFacts(
            path=path,
            duration_s=reader.duration_s,
            images=reader.message_count(topics.image),
            parameters={
                "image_transport": TRANSPORTS[recorded[topics.image]],
                "velocity_source": source,
                "base_frame": rig.base_frame,
                "base_to_camera": [float(number) for number in matrix_to_pose(rig.T_base_camera)],
            },
            remappings={
                "image": topics.image,
                "camera_info": topics.camera_info,
                VELOCITY_TOPICS[source]: topics.velocity,
            },
        )
