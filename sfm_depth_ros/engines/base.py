# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Base class of inference engines, and the checks they share."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sfm_depth_ros.errors import BadImageError, EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder

if TYPE_CHECKING:
    from sfm_depth_ros.engines.verification import RelativeError

NETWORKS = ("depth", "pose")


@dataclass(frozen=True)
class EngineRequest:
    """Network, shape and arithmetic of an engine; every engine is built from one."""

    folder: ModelFolder  # Model with weights and graph
    network: str  # `"depth"` or `"pose"`
    input_shape: tuple[int, int, int, int]  # `(1, C, H, W)`; see :func:`input_channels`
    # `"fp32"`, `"bf16"`, `"fp16"` or `"int8"`; an engine refuses what it does not have
    precision: str = "fp32"
    threads: int = 1  # CPU threads

    def __str__(self) -> str:
        """For the log line."""
        shape = "x".join(map(str, self.input_shape))
        return f"{self.network} network, {self.precision}, {shape}, {self.threads} thread(s)"


class Engine(abc.ABC):
    """One network, ready to run at one input shape.

    An engine must define ``name``, ``precision``, ``input_shape``, ``infer`` and ``close``; the
    other members have defaults.
    """

    name: str  # As in the table of engines
    precision: str  # `"fp32"`, `"bf16"`, `"fp16"` or `"int8"`, as it really computes
    input_shape: tuple[int, int, int, int]  # `(N, C, H, W)` that the engine was built for
    remark: str = ""  # Event for the diagnostics, such as a failure; empty where there is none
    error: RelativeError | None = None  # On the check frames, where it has compared itself

    @abc.abstractmethod
    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            image: ``input_shape`` float32 in [0, 1], RGB.

        Returns:
            The network's output, float32, a fresh array.

        Raises:
            BadImageError: NaN or infinity in the image.
            EngineError: The engine failed or computed NaN.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Free the engine's memory; a second call does nothing."""

    @property
    def takes_bytes(self) -> bool:
        """Whether bytes are faster than floats, since a quarter is uploaded to a GPU."""
        return False

    def take_bytes(self) -> None:
        """Prepare ``infer_bytes``, where bytes are faster; else nothing.

        Raises:
            SfmDepthError: The engine computes floats alone.
        """
        return

    def infer_bytes(self, images: np.ndarray) -> np.ndarray:
        """Run the network on ``(N, H, W, 3)`` uint8 RGB in temporal order; else as ``infer``."""
        return self.infer(floats_of(images))

    def run(self, image: np.ndarray) -> np.ndarray:
        """Run the network on floats or bytes, see ``infer`` and ``infer_bytes``."""
        return self.infer_bytes(image) if image.dtype == np.uint8 else self.infer(image)

    def refit(self, folder: ModelFolder) -> bool:
        """Replace the weights while the engine serves, where it can.

        Args:
            folder: Model of the same architecture.

        Returns:
            Whether the new weights serve. If not, the old ones do, and a new engine must be built.
        """
        return False


def floats_of(images: np.ndarray) -> np.ndarray:
    """Network's input ``(1, 3 N, H, W)`` float32 in [0, 1] of ``(N, H, W, 3)`` uint8."""
    planes = images.transpose(0, 3, 1, 2).reshape(1, -1, *images.shape[1:3])
    return planes * np.float32(1 / 255)


def input_channels(folder: ModelFolder, network: str) -> int:
    """Channels of a network's input: three for every image of it."""
    return 3 if network == "depth" else 3 * folder.pose_config.images


def check_input(engine: Engine, image: np.ndarray) -> np.ndarray:
    """Image as a contiguous array, if it has the engine's shape and type.

    Raises:
        ValueError: Another shape or type.
        BadImageError: NaN or infinity in the image; some engines would turn it into plausible
            numbers (OpenVINO's ReLU maps NaN to 0).
    """
    if image.shape != engine.input_shape or image.dtype != np.float32:
        raise ValueError(
            f"{engine.name}: expected float32 {engine.input_shape}, "
            f"got {image.dtype} {image.shape}"
        )
    if not np.isfinite(image).all():
        raise BadImageError(
            f"{engine.name}: the image holds NaN or infinity; check the camera "
            "driver and the preprocessing"
        )
    return np.ascontiguousarray(image)


def check_output(engine: Engine, output: np.ndarray) -> np.ndarray:
    """Output as a float32 array of its own, if all of it is finite.

    Raises:
        EngineError: NaN or infinity in the output.
    """
    if not np.isfinite(output).all():
        raise EngineError(
            f"{engine.name} computed NaN or infinity at {engine.precision}; "
            "choose another model or engine, or precision fp32"
        )
    return np.array(output, dtype=np.float32)


def closed(engine: Engine) -> EngineError:
    """Error for an engine that is used after ``close``."""
    return EngineError(f"{engine.name} was closed; create a new engine")
