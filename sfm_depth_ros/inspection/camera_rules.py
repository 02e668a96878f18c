# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rules on camera, frames and mounting."""

from __future__ import annotations

from collections.abc import Iterator

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.mounting import mounting_fault
from sfm_depth_ros.camera.rectification import Rectification
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.inspection.facts import Facts
from sfm_depth_ros.inspection.finding import Finding, problem

LARGE = 8 << 20  # bytes of an image; 4K raw has 25 MB
SMALLEST = 64, 32  # what a network could take


def camera_findings(facts: Facts) -> Iterator[Finding]:
    """Findings on images, their calibration and the camera's place on the robot."""
    yield from _images(facts)
    yield from _calibration(facts)
    yield from _frames(facts)
    yield from _mounting(facts)


def _images(facts: Facts) -> Iterator[Finding]:
    if len(facts.sizes) > 1:
        sizes = ", ".join(f"{count} of {w}x{h}" for (w, h), count in facts.sizes.most_common())
        yield problem(
            "image", f"images have several sizes: {sizes}", "look for a second camera on the topic"
        )
    if facts.dark and sum(facts.dark.values()) * 2 > facts.decoded:
        detail, _, remedy = facts.dark.most_common(1)[0][0].partition("; ")
        yield problem("image", f"images are {detail}", remedy)
    if facts.is_live and facts.image_bytes > LARGE and facts.image.rate_hz < 5.0:
        yield problem(
            "image",
            f"images of {facts.image_bytes >> 20} MB arrive at {facts.image.rate_hz:.1f} a second",
            "use image_transport: compressed, or a smaller image; sfm-depth doctor for the limits",
        )


def _calibration(facts: Facts) -> Iterator[Finding]:
    if not facts.models:
        return
    model = facts.models[0]
    if len(facts.models) > 1:
        yield problem(
            "camera_info",
            f"the calibration changed {len(facts.models) - 1} times by more than autofocus does",
            "fix the zoom, and look for a second camera on the topic",
        )
    size = (model.width, model.height)
    if facts.sizes and size not in facts.sizes:
        (width, height), _ = facts.sizes.most_common(1)[0]
        yield problem(
            "camera_info",
            f"camera_info is for {size[0]}x{size[1]}, images are {width}x{height}",
            "publish the camera_info of exactly this image (calibrate at this resolution, or set "
            "binning)",
        )
    if model.is_distorted and (fault := _empty(model)):
        detail, _, remedy = fault.rpartition("; ")
        yield problem("camera_info", detail, remedy)
    fx = model.P[0, 0]
    if not 0.2 < fx / model.width < 5.0:
        yield problem(
            "camera_info",
            f"the focal length is {fx:.0f} pixels at {model.width} columns",
            "calibrate the camera (camera_calibration)",
        )


def _empty(camera: CameraModel) -> str:
    """Why the rectified image would show nothing; "" = it shows something."""
    try:
        Rectification.sourced_area(camera)
    except DataError as error:
        return str(error)
    return ""


def _frames(facts: Facts) -> Iterator[Finding]:
    if facts.image.is_empty:
        return
    frames = facts.image.frames
    if "" in frames:
        yield problem("frames", "images have an empty frame_id", "set the driver's frame id")
    elif len(frames) > 1:
        yield problem(
            "frames",
            f"images have {len(frames)} frame ids ({', '.join(sorted(frames))})",
            "look for a second camera on the topic",
        )
    camera = facts.camera.frames
    if camera and camera.keys().isdisjoint(frames):
        yield problem(
            "frames",
            f"images are in {', '.join(sorted(frames))!r}, camera_info in "
            f"{', '.join(sorted(camera))!r}",
            "set the same frame id for both in the driver, or use that camera's camera_info",
        )
    body = facts.velocity.frames
    if facts.velocity.frames and facts.base_frame not in body and set(body) != {""}:
        yield problem(
            "frames",
            f"velocities are in {', '.join(sorted(body))!r}, base_frame is {facts.base_frame!r}",
            f"set base_frame:={next(iter(body))}, or child_frame_id of the odometry",
        )


def _mounting(facts: Facts) -> Iterator[Finding]:
    camera = next(iter(facts.camera.frames or facts.image.frames), "")
    if not camera or facts.velocity.is_empty:
        return
    if not facts.has_tf:
        yield Finding("TF", "note", "tf2_msgs is not installed: transforms were not looked at")
        return
    try:
        T = facts.transforms.lookup(facts.base_frame, camera)
    except DataError:
        seen = ", ".join(facts.transforms.frames) or "none"
        yield problem(
            "TF",
            f"no chain of transforms from {facts.base_frame} to {camera} (frames seen: {seen})",
            "publish it (robot_state_publisher, or: ros2 run tf2_ros static_transform_publisher "
            f"--frame-id {facts.base_frame} --child-frame-id {camera} --x ... ), or set "
            "base_to_camera",
        )
        return
    if fault := mounting_fault(T):
        detail, _, remedy = fault.partition("; ")
        yield problem("TF", detail, remedy)
    if T[2, 2] > 0.9:
        yield problem(
            "TF",
            f"{camera} is no optical frame: its z axis points along the base's z",
            "the frame of images has z forward, x right, y down (REP 103): name the ..._optical "
            "frame in the driver",
        )
