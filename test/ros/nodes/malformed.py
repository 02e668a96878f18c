# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Malformed messages of every input: fields that contradict each other, and damaged bytes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String

WILD = (0.0, -1.0, 1e-300, 1e9, 1e300, -1e300, math.nan, math.inf, -math.inf)
SIZES = (0, 1, 2, 3, 31, 64, 192, 4095, 65535, 2**31 - 1, 2**32 - 1)
ENCODINGS = (
    "rgb8", "bgr8", "mono8", "mono16", "bayer_rggb8", "bayer_gbrg16", "yuv422", "yuyv", "nv12",
    "nv21", "32FC1", "16UC1", "8UC4", "", "no such", "\x00", "é" * 40,
)  # fmt: skip
MODELS = ("cdr3", "plumb_bob", "equidistant", "rational_polynomial", "", "fisheye", "thin_prism")
PATHS = ("", "/", "/dev/zero", "/proc/self/mem", "..", "/a" * 3000, "a\x00b", "~", "http://x/y")


class Malformed:
    """Makes messages, each from a seed of its own; the kind decides the topic.

    Args:
        seed: Of the random numbers.
        image: A good image, calibration and odometry to damage.
    """

    def __init__(self, seed: int, image: Image, info: CameraInfo, odometry: Odometry) -> None:
        self._rng = random.Random(seed)
        self._good = {"image": image, "camera_info": info, "odom": odometry}
        self._makers: dict[str, Callable[[], Any]] = {
            "image": self._image,
            "camera_info": self._camera_info,
            "odom": self._odometry,
            "model": self._model,
        }
        self.kinds = (Image, CompressedImage, CameraInfo, Odometry, String)

    def next(self) -> tuple[str, Any]:
        """Topic and message: a message, or bytes that are no whole message."""
        topic = self._rng.choices(list(self._makers), (5, 3, 3, 1))[0]
        message = self._makers[topic]()
        if self._rng.random() < 0.3:
            return topic, self._damaged(bytes(serialize_message(message)))
        return topic, message

    def _damaged(self, cdr: bytes) -> bytes:
        """Bits turned over, or the end cut off; the first four bytes name the format."""
        rng = self._rng
        if rng.random() < 0.5:
            return cdr[: rng.randrange(4, len(cdr))]
        flipped = bytearray(cdr)
        for _ in range(rng.randint(1, 8)):
            flipped[rng.randrange(4, min(len(flipped), 400))] ^= 1 << rng.randrange(8)
        return bytes(flipped)

    def _stamp(self, message: Any) -> Any:
        rng = self._rng
        message.header.stamp.sec = rng.choice((0, 1, -(2**31), 2**31 - 1, rng.randint(0, 10**6)))
        message.header.stamp.nanosec = rng.choice((0, 10**9 - 1, 2**32 - 1, rng.randint(0, 10**9)))
        message.header.frame_id = rng.choice(("", "camera_optical", "x" * 300, "/a/b", "\n"))
        return message

    def _image(self) -> Image:
        rng, good = self._rng, self._good["image"]
        message = Image(
            height=rng.choice((good.height, *SIZES)), width=rng.choice((good.width, *SIZES)),
            step=rng.choice((good.step, *SIZES)), encoding=rng.choice(ENCODINGS),
            is_bigendian=rng.randint(0, 1),
        )  # fmt: skip
        message.data = good.data[: rng.choice((0, 1, 100, len(good.data)))]
        return self._stamp(message)

    def _camera_info(self) -> CameraInfo:
        rng, good = self._rng, self._good["camera_info"]
        message = CameraInfo(
            height=rng.choice((good.height, *SIZES)), width=rng.choice((good.width, *SIZES)),
            distortion_model=rng.choice(MODELS), binning_x=rng.choice(SIZES[:6]),
            k=good.k, p=good.p, r=good.r,
        )  # fmt: skip
        message.d = [rng.choice(WILD) for _ in range(rng.choice((0, 1, 4, 5, 8, 14, 40)))]
        for matrix in (message.k, message.p, message.r):
            for _ in range(rng.choice((0, 1, 5))):
                matrix[rng.randrange(len(matrix))] = rng.choice(WILD)
        message.roi.x_offset, message.roi.width = rng.choice(SIZES), rng.choice(SIZES)
        return self._stamp(message)

    def _odometry(self) -> Odometry:
        rng = self._rng
        message = Odometry(child_frame_id=rng.choice(("", "base_link", "map", "é")))
        for vector in (message.twist.twist.linear, message.twist.twist.angular):
            for axis in "xyz":
                setattr(vector, axis, rng.choice(WILD))
        return self._stamp(message)

    def _model(self) -> String:
        rng = self._rng
        name = rng.choice(PATHS)
        return String(data=name or "".join(chr(rng.randint(1, 0x2FF)) for _ in range(50)))
