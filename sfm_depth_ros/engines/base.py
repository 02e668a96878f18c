# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The protocol every inference engine follows, and the checks they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sfm_depth_ros.errors import BadImageError, EngineError
from sfm_depth_ros.model_folder.folder import ModelFolder

NETWORKS = ("depth", "pose")


@dataclass(frozen=True)
class EngineRequest:
    """What is wanted of an engine; every engine is built from one."""

    folder: ModelFolder  # Model with weights and graph
    network: str  # `"depth"` or `"pose"`
    # `(1, C, H, W)` that it shall run at; see :func:`input_channels`
    input_shape: tuple[int, int, int, int]
    # `"fp32"`, `"bf16"`, `"fp16"` or `"int8"`; what an engine does not have, it refuses
    precision: str = "fp32"
    threads: int = 1  # CPU threads

    def __str__(self) -> str:
        """For the log line."""
        shape = "x".join(map(str, self.input_shape))
        return f"{self.network} network, {self.precision}, {shape}, {self.threads} thread(s)"


class Engine(Protocol):
    """One network, ready to run at one input shape."""

    @property
    def name(self) -> str:
        """``"tensorrt"``, ``"openvino"``, ``"onnxruntime"``, ``"torch"``."""
        ...

    @property
    def precision(self) -> str:
        """``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"int8"``, as it really computes."""
        ...

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """``(N, C, H, W)`` that the engine was built for."""
        ...

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            image: ``input_shape`` float32 in [0, 1], RGB.

        Returns:
            The network's output, float32, a fresh array.

        Raises:
            EngineError: The engine failed or answered NaN.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds; calling it twice is harmless."""
        ...


def run(engine: Engine, image: np.ndarray) -> np.ndarray:
    """Run a network on floats, or on bytes of the same size.

    An engine with a GPU may offer ``takes_bytes`` and ``infer_bytes``, so that a quarter is
    uploaded; for one that does not, floats are made of the bytes.

    Args:
        engine: Of one network.
        image: What ``infer`` takes, or ``(images, H, W, 3)`` uint8 RGB in temporal order.

    Returns:
        As ``infer``.
    """
    if image.dtype != np.uint8:
        return engine.infer(image)
    if takes_bytes(engine):
        answer: np.ndarray = engine.infer_bytes(image)  # type: ignore[attr-defined]
        return answer
    return engine.infer(floats_of(image))


def floats_of(images: np.ndarray) -> np.ndarray:
    """Network's input ``(1, 3 N, H, W)`` float32 in [0, 1] of ``(N, H, W, 3)`` uint8."""
    planes = images.transpose(0, 3, 1, 2).reshape(1, -1, *images.shape[1:3])
    return planes * np.float32(1 / 255)


def takes_bytes(engine: Engine) -> bool:
    """Whether it is better handed bytes."""
    return bool(getattr(engine, "takes_bytes", False))


def input_channels(folder: ModelFolder, network: str) -> int:
    """Channels of a network's input: three for every image that it sees at once."""
    return 3 if network == "depth" else 3 * folder.pose_config.images


def check_input(engine: Engine, image: np.ndarray) -> np.ndarray:
    """Image as a contiguous array, if it is what the engine was built for.

    Raises:
        ValueError: Another shape or type.
        BadImageError: NaN or infinity in the image; some engines would answer it with plausible
            numbers (OpenVINO's ReLU turns NaN to 0).
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
            f"{engine.name} answered NaN or infinity at {engine.precision}; "
            "choose another model or engine, or precision fp32"
        )
    return np.array(output, dtype=np.float32)


def closed(engine: Engine) -> EngineError:
    """Error for an engine that is used after ``close``."""
    return EngineError(f"{engine.name} was closed; create a new engine")
