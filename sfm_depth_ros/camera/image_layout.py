# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layout of the network's image: a cut of the rectified image, scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from sfm_depth_ros.errors import DataError
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.optional import require

MAX_CUT_SHARE = 1 / 8
MAX_MISFIT = 1 / 2  # of the rows, cut or added where the network takes one height alone


@dataclass(frozen=True)
class NetworkInput:
    """The image that a network takes, whatever the camera."""

    width: int  # Pixels, a multiple of `multiple`
    # Shares of the rectified image cut off [top, bottom, left, right]
    crop: Sequence[float] = (0.0, 0.0, 0.0, 0.0)
    multiple: int = 32  # What width and height are multiples of
    resize_filter: str = "area"  # Or "lanczos", for models that were trained with it
    tracking_width: int = 0  # Width of the tracking image that frames carry; 0 = none
    height: int | None = None  # Where the network takes one alone; None = as the camera's shape
    # Whether `width` is the most rather than exact: a camera with fewer columns gets a network's
    # image of its own, rounded down to `multiple`
    narrows: bool = False

    def __post_init__(self) -> None:
        _check_filter(self.resize_filter)
        if self.width < self.multiple or self.width % self.multiple:
            raise ValueError(
                f"input_width: expected a multiple of {self.multiple}, got {self.width}"
            )


@dataclass(frozen=True)
class ImageLayout:
    """A cut of the rectified image, scaled uniformly, its height fitted at the top.

    The top gives where the height is no multiple of 32: it is the sky or the ceiling, while the
    bottom rows are the ground before the robot, which carries most of the metric scale. Where
    more than an eighth of the rows would go, rows are added instead (marked invalid).
    """

    source: Intrinsics  # Pinhole of the whole rectified image
    left: int  # First column of the cut
    top: int  # First row of the cut
    right: int  # Column after the cut's last
    bottom: int  # Row after the cut's last
    scaled_size: tuple[int, int]  # (width, height) of the scaled cut
    cut_rows: int  # Rows taken off the scaled cut's top; negative = rows added there
    # Filter: area, or lanczos for models that were trained with it
    resize_filter: str = "area"

    @classmethod
    def for_camera(
        cls, source: Intrinsics, area: tuple[int, int, int, int], wanted: NetworkInput
    ) -> ImageLayout:
        """Lay out.

        Args:
            source: Pinhole of the whole rectified image.
            area: (left, top, right, bottom) of the part that has a source.
            wanted: The network's image.

        Raises:
            DataError: The area is too small, or of another shape than ``wanted.height`` needs.
        """
        input_width, multiple = wanted.width, wanted.multiple
        left, top, right, bottom = _cropped_area(area, wanted.crop)
        width, height = right - left, bottom - top
        if wanted.narrows and width >= multiple:
            input_width = min(input_width, width // multiple * multiple)
        scaled_height = round(height * input_width / width) if width > 0 else 0
        if width < input_width or scaled_height < multiple:
            raise DataError(
                f"image is {source.width}x{source.height} ({width}x{height} after cropping) and "
                f"would make a network image of {input_width}x{scaled_height}, expected at least "
                f"{input_width} columns to begin with and {multiple} rows: lower input_width "
                "(for training: training.width), crop less, or use a larger image"
            )
        scaled_size = (input_width, scaled_height)
        if wanted.height is None:
            cut_rows = scaled_height % multiple
            cut_rows -= multiple if cut_rows > scaled_height * MAX_CUT_SHARE else 0
        else:
            cut_rows = _rows_beyond(wanted.height, scaled_size, (width, height))
        return cls(source, left, top, right, bottom, scaled_size, cut_rows, wanted.resize_filter)

    @cached_property
    def intrinsics(self) -> Intrinsics:
        """Pinhole of the network's image."""
        width, height = self.scaled_size
        cut = self.source.cropped(
            self.left, self.top, self.right - self.left, self.bottom - self.top
        )
        return cut.resized(width, height).cropped(0, self.cut_rows, width, height - self.cut_rows)

    @cached_property
    def valid(self) -> np.ndarray:
        """``(h, w)`` bool, False in rows that were added."""
        width, height = self.scaled_size
        rows = np.arange(height - self.cut_rows) >= -self.cut_rows
        return np.repeat(rows[:, None], width, axis=1)

    def shrink(self, image: np.ndarray) -> np.ndarray:
        """Cut and scale the whole rectified image ``(H, W, 3)`` uint8 to the network's, a copy.

        Rows that were added repeat the first.
        """
        cut = image[self.top : self.bottom, self.left : self.right]
        width, height = self.scaled_size
        factor, rest = divmod(cut.shape[1], width)
        is_whole = rest == 0 and cut.shape[0] == factor * height
        if self.cut_rows > 0 and is_whole and self.resize_filter == "area":
            # nothing is blended across the cut, so what is cut off need not be scaled
            return area_average(cut[factor * self.cut_rows :], (width, height - self.cut_rows))
        small = FILTERS[self.resize_filter](cut, self.scaled_size)
        if self.cut_rows > 0:
            return np.ascontiguousarray(small[self.cut_rows :])
        if self.cut_rows < 0:
            return cv2.copyMakeBorder(small, -self.cut_rows, 0, 0, 0, cv2.BORDER_REPLICATE)
        return small

    def scatter(self, depth: np.ndarray) -> np.ndarray:
        """Move known depths ``(H, W)`` to ``(h, w)``; the one nearest to the centre stays."""
        pixels, targets = self._scattering
        values = depth.reshape(-1)[pixels]
        known = np.isfinite(values) & (values > 0)
        result = np.zeros(self.valid.shape, np.float32)
        result.reshape(-1)[targets[known]] = values[known]
        return result

    def sample(self, values: np.ndarray) -> np.ndarray:
        """Nearest of ``(H, W)`` at the centre of each network pixel; 0 in added rows."""
        a, b = self.source, self.intrinsics
        x = (np.arange(b.width) - b.cx) * (a.fx / b.fx) + a.cx
        y = (np.arange(b.height) - b.cy) * (a.fy / b.fy) + a.cy
        columns = np.clip(np.floor(x + 0.5), 0, a.width - 1).astype(np.int64)
        rows = np.clip(np.floor(y + 0.5), 0, a.height - 1).astype(np.int64)
        return np.where(self.valid, values[rows[:, None], columns], values.dtype.type(0))

    def to_input(self, depth: np.ndarray) -> np.ndarray:
        """Sample ``(h, w)`` at every pixel of the whole image ``(H, W)``; NaN outside."""
        columns, rows = self._columns_and_rows
        height, width = self.valid.shape
        left, right = np.searchsorted(columns, (0, width))
        top, bottom = np.searchsorted(rows, (max(0, -self.cut_rows), height))
        result = np.full((self.source.height, self.source.width), np.nan, np.float32)
        known = depth[rows[top:bottom]].take(columns[left:right], axis=1)
        result[top:bottom, left:right] = known
        return result

    @cached_property
    def _columns_and_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Network column of each image column, and row of each row (may lie outside)."""
        x, y = self.coordinates
        return np.floor(x + 0.5).astype(np.int64), np.floor(y + 0.5).astype(np.int64)

    @cached_property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Column ``(W,)`` and row ``(H,)`` of the image in the network's, maybe outside of it."""
        a, b = self.source, self.intrinsics
        x = (np.arange(a.width) - a.cx) * (b.fx / a.fx) + b.cx
        y = (np.arange(a.height) - a.cy) * (b.fy / a.fy) + b.cy
        return x, y

    @cached_property
    def _scattering(self) -> tuple[np.ndarray, np.ndarray]:
        """Flat image pixels with their flat network pixels, farthest from its centre first."""
        (x, y), (columns, rows) = self.coordinates, self._columns_and_rows
        height, width = self.valid.shape
        inside = ((columns >= 0) & (columns < width)) & ((rows >= 0) & (rows < height))[:, None]
        offset = (x - columns)[None, :] ** 2 + ((y - rows) ** 2)[:, None]
        targets = rows[:, None] * width + columns[None, :]
        pixels = np.flatnonzero(inside)
        pixels = pixels[np.argsort(-offset.reshape(-1)[pixels], kind="stable")]
        return pixels, targets.reshape(-1)[pixels]


def area_average(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale an image down, each pixel the mean of what it covers.

    Halves as long as that is exact, for OpenCV halves several times faster than it takes
    quarters; the rounding in between is at most one grey level.

    Args:
        image: ``(H, W, C)`` uint8.
        size: (width, height) wanted, not larger than the image.

    Returns:
        ``(height, width, C)`` uint8, a copy.
    """
    width, height = size
    whole = image.shape[0] * width == image.shape[1] * height
    while whole and image.shape[1] > 2 * width and image.shape[1] % (2 * width) == 0:
        half = image.shape[1] // 2, image.shape[0] // 2
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def lanczos(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale an image by Pillow's antialiased Lanczos, the filter that imported models learnt with.

    Args:
        image: ``(H, W, 3)`` uint8.
        size: (width, height) wanted.

    Returns:
        ``(height, width, 3)`` uint8, a copy.
    """
    pillow = require("PIL.Image")
    return np.array(pillow.fromarray(image).resize(size, pillow.Resampling.LANCZOS))


FILTERS = {"area": area_average, "lanczos": lanczos}


def _check_filter(name: str) -> None:
    """Raise unless the filter is known here and can be run."""
    if name not in FILTERS:
        raise DataError(
            f"model.json names the filter {name!r}, expected {' or '.join(FILTERS)}; "
            "update sfm_depth_ros"
        )
    if name == "lanczos":
        require("PIL.Image")  # absent, it is named before the first image


def _rows_beyond(input_height: int, scaled_size: tuple[int, int], size: tuple[int, int]) -> int:
    """Rows of the scaled image beyond the only height of the network; negative = padded."""
    input_width, scaled_height = scaled_size
    cut_rows = scaled_height - input_height
    if abs(cut_rows) > MAX_MISFIT * max(scaled_height, input_height):
        raise DataError(
            f"the network takes {input_width}x{input_height} alone, but the image of "
            f"{size[0]}x{size[1]} would be {input_width}x{scaled_height}: crop it, or import "
            "the graph at about that size"
        )
    return cut_rows


def _cropped_area(
    area: tuple[int, int, int, int], crop: Sequence[float]
) -> tuple[int, int, int, int]:
    left, top, right, bottom = area
    width, height = right - left, bottom - top
    return (
        left + round(crop[2] * width),
        top + round(crop[0] * height),
        right - round(crop[3] * width),
        bottom - round(crop[1] * height),
    )
