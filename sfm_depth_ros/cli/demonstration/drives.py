# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's two drives, rendered side by side and kept for the next run."""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sfm_depth_ros import world
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.cli.demonstration.workers import worker_pool

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
    told, recording = time.monotonic(), RecordingSpec(jpeg_quality=JPEG_QUALITY)
    with BagWriter(aside) as writer:
        for count, _ in enumerate(write_drive(rendered, writer, recording), 1):
            if time.monotonic() - told > PROGRESS_S or count == len(rendered):
                told = time.monotonic()
                print(f"  {drive.name}: {count} of {len(rendered)} images", flush=True)
    aside.rename(drive.path)


def _renderer_version() -> str:
    """Eight digits that change whenever the renderer's source does."""
    sources = sorted(Path(world.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]
