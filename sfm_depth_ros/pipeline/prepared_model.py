# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model with its engines, loaded for one camera and ready to serve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.data.preprocessing import CameraModel, Preprocessor
from sfm_depth_ros.engines.base import Engine
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.networks.focal import canonical_to_depth, canonical_to_motion
from sfm_depth_ros.networks.model_folder import ModelFolder

CreateEngine = Callable[..., Engine]


@dataclass(frozen=True)
class PreparedModel:
    """Both networks of a model at the size that the camera gives.

    Attributes:
        model_id: Identity of the weights.
        preprocessor: From the camera's image to the networks'.
        depth_engine: Runs ``(1, 3, h, w)`` to canonical depth.
        pose_engine: Runs ``(1, 3 images, h, w)``, earlier before later, to the canonical motions
            between neighbours.
        depth_focal: Focal length in pixels at which the depth network says metres.
        pose_focal: The same of the pose network.
    """

    model_id: str
    preprocessor: Preprocessor
    depth_engine: Engine
    pose_engine: Engine
    depth_focal: float
    pose_focal: float

    @property
    def images(self) -> int:
        """How many images in a row the pose network sees: 2 or 3."""
        return self.pose_engine.input_shape[1] // 3

    def depth(self, image: np.ndarray, focal: float) -> np.ndarray:
        """Depth in metres.

        Args:
            image: ``(1, 3, h, w)`` float32 in [0, 1].
            focal: The image's horizontal focal length in pixels.

        Returns:
            ``(h, w)`` float32.
        """
        canonical = self.depth_engine.infer(image)[0, 0]
        return canonical_to_depth(canonical, np.float32(focal), self.depth_focal)

    def motion(self, stack: np.ndarray, focal: float) -> np.ndarray:
        """Motion of the camera between the last two images.

        Args:
            stack: ``(1, 3 images, h, w)`` float32 in [0, 1], earlier images before later ones.
            focal: The images' horizontal focal length in pixels.

        Returns:
            ``T_earlier_later`` ``(4, 4)`` float64, metres.
        """
        canonical = self.pose_engine.infer(stack)[0, -6:].astype(np.float64)
        motion = canonical_to_motion(canonical, focal, self.pose_focal)
        transform = np.eye(4)
        transform[:3, :3] = rotation_matrix(motion[3:])
        transform[:3, 3] = motion[:3]
        return transform

    def close(self) -> None:
        """Free both engines."""
        self.depth_engine.close()
        self.pose_engine.close()


def prepare_model(
    folder: ModelFolder, camera: CameraModel, config: DepthNodeConfig, create_engine: CreateEngine
) -> PreparedModel:
    """Load and check both engines for a camera.

    Args:
        folder: The model.
        camera: The camera whose images will come.
        config: Engine, precision, threads, input width and crop.
        create_engine: ``engines.factory.create_engine``, or something like it.

    Raises:
        DataError: The camera's image is too small for the network.
        EngineError: No engine runs the model as it should.
    """
    preprocessor = Preprocessor(camera, config.input_width or folder.width, config.crop)
    options = {
        "name": config.engine,
        "precision": config.precision,
        "threads": config.engine_threads,
    }
    depth_engine = create_engine(folder, "depth", preprocessor.input_hw, **options)
    try:
        pose_engine = create_engine(folder, "pose", preprocessor.input_hw, **options)
    except EngineError:
        depth_engine.close()
        raise
    return PreparedModel(
        model_id=folder.model_id,
        preprocessor=preprocessor,
        depth_engine=depth_engine,
        pose_engine=pose_engine,
        depth_focal=folder.depth_config.reference_focal,
        pose_focal=folder.pose_config.reference_focal,
    )
