# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model with its engines, loaded for one camera and ready to serve."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfm_depth_ros.camera.preprocessing import CameraModel, Preprocessor
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.engines.base import NETWORKS, Engine, input_channels
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.geometry.depth import canonical_to_depth, canonical_to_motion
from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.model_folder.folder import ModelFolder

_logger = logging.getLogger(__name__)
CreateEngine = Callable[..., Engine]


@dataclass(frozen=True)
class PreparedModel:
    """Both networks of a model at the size that the camera gives."""

    folder: ModelFolder  # The model
    preprocessor: Preprocessor  # From the camera's image to the networks'
    depth_engine: Engine  # Runs `(1, 3, h, w)` to canonical depth
    # Runs `(1, 3 images, h, w)`, earlier before later, to the canonical motions between neighbours
    pose_engine: Engine
    depth_focal: float  # Focal length in pixels at which the depth network's output is in metres
    pose_focal: float  # The same of the pose network

    @property
    def model_id(self) -> str:
        """Identity of the weights."""
        return self.folder.model_id

    @property
    def images(self) -> int:
        """How many images in a row the pose network sees: 2 or 3."""
        return self.pose_engine.input_shape[1] // 3

    @property
    def takes_bytes(self) -> bool:
        """Whether images are better handed over as bytes; may change while an engine serves."""
        return self.depth_engine.takes_bytes and self.pose_engine.takes_bytes

    def depth(self, image: np.ndarray, focal: float) -> np.ndarray:
        """Depth in metres.

        Args:
            image: ``(1, 3, h, w)`` float32 in [0, 1], or ``(1, h, w, 3)`` uint8.
            focal: The image's horizontal focal length in pixels.

        Returns:
            ``(h, w)`` float32.
        """
        canonical = self.depth_engine.run(image)[0, 0]
        return canonical_to_depth(canonical, np.float32(focal), self.depth_focal)

    def motion(self, stack: np.ndarray, focal: float) -> np.ndarray:
        """Motion of the camera between the last two images.

        Args:
            stack: ``(1, 3 images, h, w)`` float32 in [0, 1], or ``(images, h, w, 3)`` uint8;
                earlier images before later ones.
            focal: The images' horizontal focal length in pixels.

        Returns:
            ``T_earlier_later`` ``(4, 4)`` float64, metres.
        """
        canonical = self.pose_engine.run(stack)[0, -6:].astype(np.float64)
        motion = canonical_to_motion(canonical, focal, self.pose_focal)
        transform = np.eye(4)
        transform[:3, :3] = rotation_matrix(motion[3:])
        transform[:3, 3] = motion[:3]
        return transform

    @property
    def remarks(self) -> tuple[str, ...]:
        """Events of the engines while they ran, for diagnostics."""
        return tuple(filter(None, (self.depth_engine.remark, self.pose_engine.remark)))

    def close(self, keep: PreparedModel | None = None) -> None:
        """Free both engines, but for those that ``keep`` has taken over."""
        kept = () if keep is None else (keep.depth_engine, keep.pose_engine)
        for engine in (self.depth_engine, self.pose_engine):
            if not any(engine is other for other in kept):
                engine.close()


def prepare_model(
    folder: ModelFolder,
    camera: CameraModel,
    config: DepthNodeConfig,
    create_engine: CreateEngine,
    serving: PreparedModel | None = None,
) -> PreparedModel:
    """Load and check both engines for a camera.

    Args:
        folder: The model.
        camera: The camera whose images will come.
        config: Engine, precision, threads, input width and crop.
        create_engine: ``engines.factory.create_engine``, or something like it.
        serving: What serves now; an engine of it that can take the new weights while it runs, and
            passes the new model's check frames with them, is taken over.

    Raises:
        DataError: The camera's image is too small for the network.
        EngineError: No engine runs the model as it should.
    """
    width = config.input_width or folder.width
    preprocessor = Preprocessor(
        camera,
        width,
        config.crop,
        resize_filter=folder.resize_filter,
        tracking_width=config.tracking_width,
    )
    options = {
        "name": config.engine,
        "precision": config.precision,
        "threads": config.engine_threads,
    }
    engines: list[Engine] = []
    try:
        for network in NETWORKS:
            engine = _refitted(serving, folder, network, preprocessor.input_hw)
            engines.append(
                engine or create_engine(folder, network, preprocessor.input_hw, **options)
            )
    except EngineError:
        _give_back(engines, serving)
        raise
    return PreparedModel(
        folder=folder,
        preprocessor=preprocessor,
        depth_engine=engines[0],
        pose_engine=engines[1],
        depth_focal=folder.depth_config.reference_focal,
        pose_focal=folder.pose_config.reference_focal,
    )


def _refitted(
    serving: PreparedModel | None, folder: ModelFolder, network: str, input_hw: tuple[int, int]
) -> Engine | None:
    """The engine that serves, with the new weights; None where it cannot take them."""
    if serving is None:
        return None
    engine = serving.depth_engine if network == "depth" else serving.pose_engine
    shape = (1, input_channels(folder, network), *input_hw)
    return engine if engine.input_shape == shape and engine.refit(folder) else None


def _give_back(engines: list[Engine], serving: PreparedModel | None) -> None:
    """Close what was made in vain; what was taken over gets the old weights again."""
    for engine in engines:
        if serving is None or engine not in (serving.depth_engine, serving.pose_engine):
            engine.close()
        elif not engine.refit(serving.folder):
            _logger.warning(
                "engine %s could not take the old weights again; it serves those of "
                "the refused model until the next one comes",
                engine.name,
            )
