# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model with its engines, loaded for one camera and ready to serve."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_layout import NetworkInput
from sfm_depth_ros.camera.preprocessing import Preprocessor
from sfm_depth_ros.config.networks import DEPTH_AFFINE, INVERSE_AFFINE, METRIC
from sfm_depth_ros.config.schema import DepthNodeConfig, NodeConfig
from sfm_depth_ros.engines.base import Engine, input_channels
from sfm_depth_ros.errors import DataError, EngineError
from sfm_depth_ros.geometry.depth import canonical_to_depth, canonical_to_motion
from sfm_depth_ros.geometry.frames import rotation_matrix
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.snippets.values import Frame

# Anchoring fits inverse depth: of a head that is depth up to a gain and an offset, the gain alone.
OUTPUTS = {METRIC: "metric", INVERSE_AFFINE: "affine", DEPTH_AFFINE: "up_to_scale"}

_logger = logging.getLogger(__name__)
CreateEngine = Callable[..., Engine]


@dataclass(frozen=True)
class PreparedModel:
    """The networks of a model at the size that the camera gives."""

    folder: ModelFolder  # The model
    preprocessor: Preprocessor  # From the camera's image to the networks'
    depth_engine: Engine  # Runs `(1, 3, h, w)` to canonical depth
    # Runs `(1, 3 images, h, w)`, earlier before later, to the canonical motions between
    # neighbours; None = the model has no pose network
    pose_engine: Engine | None
    # Focal length in pixels at which the depth network's output is in metres
    depth_focal: float | None
    pose_focal: float | None  # The same of the pose network

    @property
    def model_id(self) -> str:
        """Identity of the weights."""
        return self.folder.model_id

    @property
    def images(self) -> int:
        """Images in a row that the networks see: 2 or 3, or 1 without a pose network."""
        return self.pose_engine.input_shape[1] // 3 if self.pose_engine else 1

    @property
    def engines(self) -> dict[str, Engine]:
        """Engines by network."""
        engines = {"depth": self.depth_engine, "pose": self.pose_engine}
        return {name: engine for name, engine in engines.items() if engine is not None}

    @property
    def engine_names(self) -> dict[str, str]:
        """Engine and precision by network, for diagnostics."""
        return {
            network: f"{engine.name} {engine.precision}"
            for network, engine in self.engines.items()
        }

    @property
    def output(self) -> str:
        """Unit of the depth network's output, as anchoring has it."""
        head = self.folder.depth_config.head
        return "up_to_scale" if head == METRIC and not self.folder.has_metres else OUTPUTS[head]

    @property
    def takes_bytes(self) -> bool:
        """Whether images are better handed over as bytes; may change while an engine serves."""
        return all(engine.takes_bytes for engine in self.engines.values())

    def takes(self, frame: Frame) -> bool:
        """Whether a frame has the networks' size and about the camera's intrinsics."""
        return frame.intrinsics.is_close(self.preprocessor.intrinsics)

    def for_camera(self, camera: CameraModel) -> PreparedModel | None:
        """The same engines for another calibration; None where their size does not fit it."""
        preprocessor = self.preprocessor.for_camera(camera)
        if preprocessor.input_hw != self.preprocessor.input_hw:
            return None
        return replace(self, preprocessor=preprocessor)

    def depth(self, image: np.ndarray, focal: float) -> np.ndarray:
        """Depth in metres.

        Args:
            image: ``(1, 3, h, w)`` float32 in [0, 1], or ``(1, h, w, 3)`` uint8.
            focal: The image's horizontal focal length in pixels.

        Returns:
            ``(h, w)`` float32.
        """
        canonical = self.depth_engine.run(image)[0, 0]
        if self.depth_focal is None:
            return canonical
        return canonical_to_depth(canonical, np.float32(focal), self.depth_focal)

    def motion(self, stack: np.ndarray, focal: float) -> np.ndarray | None:
        """Motion of the camera between the last two images.

        Args:
            stack: ``(1, 3 images, h, w)`` float32 in [0, 1], or ``(images, h, w, 3)`` uint8;
                earlier images before later ones.
            focal: The images' horizontal focal length in pixels.

        Returns:
            ``T_earlier_later`` ``(4, 4)`` float64, metres; None without a pose network.
        """
        if self.pose_engine is None or self.pose_focal is None:
            return None
        canonical = self.pose_engine.run(stack)[0, -6:].astype(np.float64)
        motion = canonical_to_motion(canonical, focal, self.pose_focal)
        transform = np.eye(4)
        transform[:3, :3] = rotation_matrix(motion[3:])
        transform[:3, 3] = motion[:3]
        return transform

    @property
    def remarks(self) -> tuple[str, ...]:
        """Events of the engines while they ran, for diagnostics."""
        return tuple(filter(None, (engine.remark for engine in self.engines.values())))

    @property
    def why_no_motion(self) -> str:
        """Reason why a pair of images gave no motion."""
        if self.pose_engine is None:
            return "no ego-motion: this model has no pose network"
        return "no ego-motion: the pose network needs two images before this one"

    def close(self, keep: PreparedModel | None = None) -> None:
        """Free the engines, but for those that ``keep`` has taken over."""
        kept = () if keep is None else tuple(keep.engines.values())
        for engine in self.engines.values():
            if not any(engine is other for other in kept):
                engine.close()


def prepare_model(
    folder: ModelFolder,
    camera: CameraModel,
    config: DepthNodeConfig,
    create_engine: CreateEngine,
    serving: PreparedModel | None = None,
) -> PreparedModel:
    """Load and check the engines for a camera.

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
    preprocessor = Preprocessor(camera, network_input(folder, config, config.tracking_width))
    if preprocessor.narrowed:
        _logger.info("%s", preprocessor.narrowed)
    options = {
        "name": config.engine,
        "precision": config.precision,
        "threads": config.engine_threads,
    }
    engines: dict[str, Engine] = {}
    try:
        for network in folder.networks:
            engine = _refitted(serving, folder, network, preprocessor.input_hw)
            engines[network] = engine or create_engine(
                folder, network, preprocessor.input_hw, **options
            )
    except EngineError:
        _give_back(list(engines.values()), serving)
        raise
    return PreparedModel(
        folder=folder,
        preprocessor=preprocessor,
        depth_engine=engines["depth"],
        pose_engine=engines.get("pose"),
        depth_focal=folder.depth_focal,
        pose_focal=folder.pose_config.reference_focal if folder.has_pose else None,
    )


def network_input(folder: ModelFolder, config: NodeConfig, tracking_width: int) -> NetworkInput:
    """The image that a model takes under a node's options.

    A camera narrower than the model gets a narrower image, unless a width or a graph fixes it.

    Args:
        folder: The model.
        config: ``input_width`` and ``crop``.
        tracking_width: Width of the tracking images that come with it, 0 = none.

    Raises:
        DataError: ``input_width`` does not fit the model.
    """
    if folder.input_height and config.input_width not in (0, folder.width):
        raise DataError(
            f"input_width: this imported graph takes {folder.width} columns alone, got "
            f"{config.input_width}; leave it 0, or import a graph of another size"
        )
    width, multiple = config.input_width or folder.width, folder.multiple
    if width % multiple:
        raise DataError(
            f"input_width: expected a multiple of {multiple} for this model, got {width}; "
            f"set {max(1, round(width / multiple)) * multiple}"
        )
    return NetworkInput(
        width,
        config.crop,
        multiple,
        folder.resize_filter,
        tracking_width,
        folder.input_height,
        narrows=config.input_width == 0 and folder.input_height is None,
    )


def _refitted(
    serving: PreparedModel | None, folder: ModelFolder, network: str, input_hw: tuple[int, int]
) -> Engine | None:
    """The engine that serves, with the new weights; None where it cannot take them."""
    if serving is None or folder.is_foreign:
        return None
    engine = serving.engines.get(network)
    shape = (1, input_channels(folder, network), *input_hw)
    if engine is None or engine.input_shape != shape:
        return None
    return engine if engine.refit(folder) else None


def _give_back(engines: list[Engine], serving: PreparedModel | None) -> None:
    """Close what was made in vain; what was taken over gets the old weights again."""
    for engine in engines:
        if serving is None or engine not in serving.engines.values():
            engine.close()
        elif not engine.refit(serving.folder):
            _logger.warning(
                "engine %s could not take the old weights again; it serves those of "
                "the refused model until the next one comes",
                engine.name,
            )
