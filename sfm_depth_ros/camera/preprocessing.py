# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mapping of the camera's image to the network's (rectify, crop, scale), and of depth back.

One filter for shrinking, area averaging, in training, export and live; imported models may ask
for the one that they were trained with. A distorted image is rectified and scaled in one linear
remap, fed an area-averaged image (by a whole factor) where the remap alone would shrink by two or
more and alias. Where there are pixels enough, each is the mean of four samples: one alone is as
blurred as its place between the source's pixels, and a network sees that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import ImageLayout, NetworkInput
from sfm_depth_ros.camera.rectification import Rectification
from sfm_depth_ros.camera.tracking_view import TrackingView
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.snippets.values import Frame


@dataclass(frozen=True, eq=False)
class CameraTruth:
    """True depth of a rectified image, any size."""

    depth: np.ndarray  # `(H, W)` float32 metres along the rectified optical axis, 0 = unknown
    # `(W,)` float64 where each column's centre lies in the network's image; may lie outside of
    # what the network sees
    columns: np.ndarray
    rows: np.ndarray  # `(H,)` float64 the same for each row

    @classmethod
    def at_network_size(cls, depth: np.ndarray) -> CameraTruth:
        """Truth ``(h, w)`` in metres that has the network image's own pixels."""
        height, width = depth.shape
        return cls(depth, np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))


_OVERSAMPLING = 2
_SAME_ASPECT = 0.02  # relative difference of the factors in both directions


class Preprocessor:
    """Maps images, true depth and predicted depth between one camera and one network size."""

    def __init__(self, camera: CameraModel, wanted: NetworkInput) -> None:
        """Lay out the network's image for this camera.

        Args:
            camera: The camera; images must have its size.
            wanted: The network's image.

        Raises:
            DataError: The image is smaller than the network needs.
        """
        self.camera, self.wanted = camera, wanted
        tracking_width = wanted.tracking_width
        self._tracking = TrackingView(camera, tracking_width) if tracking_width else None
        self._rectification: Rectification | None = None
        area = (0, 0, camera.width, camera.height)
        if camera.is_distorted:
            area = Rectification.sourced_area(camera)
        self._layout = ImageLayout.for_camera(camera.rectified, area, wanted)
        if camera.is_distorted:
            destination = self._layout.intrinsics
            shrinks = camera.K[0, 0] >= _OVERSAMPLING * destination.fx
            oversampling = _OVERSAMPLING if shrinks else 1
            self._rectification = Rectification(camera, destination, oversampling)

    @property
    def intrinsics(self) -> Intrinsics:
        """Pinhole of the network's image."""
        return self._layout.intrinsics

    @property
    def columns(self) -> int:
        """Columns of the rectified image that the network's image is made of."""
        return self._layout.right - self._layout.left

    @property
    def narrowed(self) -> str:
        """Remark on a network's image narrower than wanted; "" where it is not."""
        width, asked = self.size[0], self.wanted.width
        if width >= asked:
            return ""
        return (
            f"the network's image is {width} columns wide instead of the model's {asked}: the "
            f"camera's image has {self.columns}; depth of far objects gains from a wider one"
        )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the network's image in pixels."""
        return self.intrinsics.width, self.intrinsics.height

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) of the network's image in pixels."""
        return self.intrinsics.height, self.intrinsics.width

    @cached_property
    def valid(self) -> np.ndarray | None:
        """``(h, w)`` bool, False where the network's image has no source; None = all valid."""
        valid = self._layout.valid
        if self._rectification is not None:
            valid = valid & self._rectification.valid
        return None if valid.all() else valid

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Make the network's image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB as the camera sends it.

        Returns:
            ``(h, w, 3)`` uint8 RGB, a copy, and ``valid`` as the property has it.

        Raises:
            DataError: The image has another size than the camera's calibration.
        """
        self._check_size(image)
        if self._rectification is not None:
            return self._rectification(image), self.valid
        return self._layout.shrink(image), self.valid

    def frame(self, image: np.ndarray, stamp_ns: int, frame_id: str = "") -> Frame:
        """The same as a Frame; ``frame_id`` falls back to the calibration's."""
        small, valid = self(image)
        tracking = self._tracking(image) if self._tracking else None
        name = frame_id or self.camera.frame_id
        return Frame(stamp_ns, small, self.intrinsics, valid, name, tracking)

    def for_camera(self, camera: CameraModel) -> Preprocessor:
        """This one where the calibration is the same, else a new one for the new calibration."""
        return self if camera.is_equal(self.camera) else Preprocessor(camera, self.wanted)

    def for_width(self, width: int, keeps_shape: bool = False) -> Preprocessor:
        """This one for a network's image of another width, or the widest that the camera has.

        Args:
            width: In pixels, rounded down to what the network takes.
            keeps_shape: Whether the height follows, rounded up: scaled back to this width, it has
                this height. Otherwise it is the multiple that the camera's shape gives.
        """
        multiple = self.wanted.multiple
        width = min(width, self.columns) // multiple * multiple
        height = -(-self.size[1] * width // self.size[0]) if keeps_shape else None
        wanted = replace(self.wanted, width=width, height=height, narrows=False)
        return Preprocessor(self.camera, wanted)

    def enlarged_depth(self, depth: np.ndarray) -> np.ndarray:
        """True depth ``(H, W)`` of the camera's view at the camera's size.

        A truth that is smaller by one factor in both directions is enlarged without blending; any
        other one is returned as it is.
        """
        width, height = self.camera.width, self.camera.height
        factors = width / depth.shape[1], height / depth.shape[0]
        if min(factors) > 1.0 and abs(factors[0] / factors[1] - 1.0) < _SAME_ASPECT:
            return cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
        return depth

    def resize_depth(self, depth: np.ndarray) -> np.ndarray:
        """Bring true depth to the network's image, without blending neighbours.

        Each pixel takes the known depth nearest to its centre among those that fall into it, so
        a sparse truth keeps its points and a dense one is sampled.

        Args:
            depth: ``(H, W)`` metres of the camera's own image, 0 = unknown.

        Returns:
            ``(h, w)`` float32 metres along the rectified optical axis, 0 = unknown.
        """
        self._check_size(depth, "depth image")
        if self._rectification is not None:
            return self._rectification.sample_depth(depth)
        return self._layout.scatter(depth)

    def resize_labels(self, labels: np.ndarray) -> np.ndarray:
        """Bring labels ``(H, W)`` of the camera's own image to the network's ``(h, w)``.

        Each pixel takes the label at its centre; 0 where the network's image has no source.
        """
        self._check_size(labels)
        if self._rectification is not None:
            return self._rectification.sample(labels)
        return self._layout.sample(labels)

    def camera_truth(self, depth: np.ndarray) -> CameraTruth:
        """True depth at the camera's size, rectified where the lens distorts.

        Args:
            depth: ``(H, W)`` metres of the camera's own image, 0 = unknown.
        """
        self._check_size(depth, "depth image")
        if self._full_rectification is not None:
            depth = self._full_rectification.sample_depth(depth)
        return CameraTruth(depth, *self._layout.coordinates)

    @cached_property
    def _full_rectification(self) -> Rectification | None:
        """Rectification to an image of the camera's size."""
        camera = self.camera
        return Rectification(camera, camera.rectified) if camera.is_distorted else None

    def to_input(self, depth: np.ndarray) -> np.ndarray:
        """Bring the network's depth to the rectified image at the camera's size.

        Nearest neighbour: interpolation would invent depths between an object and its background.

        Args:
            depth: ``(h, w)`` float32 metres.

        Returns:
            ``(H, W)`` float32 metres, NaN where the network did not see.
        """
        return self._layout.to_input(depth)

    def _check_size(self, image: np.ndarray, name: str = "image") -> None:
        height, width = image.shape[:2]
        if (width, height) != (self.camera.width, self.camera.height):
            raise DataError(
                f"{name} is {width}x{height} but camera_info is for {self.camera.width}x"
                f"{self.camera.height}: publish the camera_info of exactly this image"
            )
