# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""depth_node: images in; metric depth and ego-motion out; better models while it runs."""

from __future__ import annotations

import time

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.model_folder.history import resolve_model
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.depth_outputs import DepthOutputs
from sfm_depth_ros.ros.diagnostics import DepthStatus, Diagnosis, DiagnosticsPublisher
from sfm_depth_ros.ros.extrinsics import Extrinsics
from sfm_depth_ros.ros.frame_path import FramePath
from sfm_depth_ros.ros.inputs import InputHandlers, Inputs, InputState
from sfm_depth_ros.ros.main import StopEvent
from sfm_depth_ros.ros.model_loader import ModelLoader
from sfm_depth_ros.ros.node_base import SfmNode, spin
from sfm_depth_ros.ros.streams import FrameStats, StampGuard, watch_clock
from sfm_depth_ros.share import SHIPPED_MODEL, share_path
from sfm_depth_ros.snippets.values import Velocity

# The executor would go on holding the interpreter while the worker waits to begin (0.3 ms).
HAND_OVER_S = 0.0005


class DepthNode(SfmNode):
    """Wires parameters, inputs, the depth estimator and the publishers together."""

    def __init__(self) -> None:
        super().__init__("depth_node", DepthNodeConfig)
        self._input_state = InputState()
        self._stats = FrameStats()
        self._velocity_guard = StampGuard("velocities", 0.5, self._on_velocity_jump)
        self._status = DepthStatus(
            self._input_state, self._stats, self.errors, self._velocity_guard
        )
        self._clock_watch = watch_clock(self, self._on_clock_jump)
        self._loader: ModelLoader | None = None
        self._extrinsics: Extrinsics | None = None
        self._outputs: DepthOutputs | None = None
        self._inputs: Inputs | None = None
        self._path: FramePath | None = None
        self._diagnostics = DiagnosticsPublisher(self, "/diagnostics", self._diagnose)

    def configure(self) -> None:
        """Choose the model, make the publishers."""
        config: DepthNodeConfig = self.config
        folder = resolve_model(config.model, config.models_dir, share_path(SHIPPED_MODEL))
        self._outputs = DepthOutputs(self, config)
        self._loader = ModelLoader(folder, config, self.errors)
        self._extrinsics = Extrinsics(self, config, self._loader.set_mounting)
        self._model_subscription = self.create_subscription(
            String, "model", self._on_model, qos.latched(), qos_overriding_options=qos.overrides()
        )

    def activate(self) -> None:
        """Listen and publish."""
        assert self._loader is not None and self._outputs is not None
        self._path = FramePath(
            self._loader, self._outputs, self._stats, self.errors, self.config.pipelined
        )
        handlers = InputHandlers(self._on_image, self._on_camera, self._on_velocity)
        self._inputs = Inputs(self, self.config, handlers, self._input_state, self.errors)

    def deactivate(self) -> None:
        """Stop listening; what was computed is published."""
        if self._inputs is not None:
            self._inputs.close()
        if self._path is not None:
            self._path.close()
            self._stats.not_ready += self._path.dropped
        self._inputs = self._path = None

    def cleanup(self) -> None:
        """Give the model and the publishers back."""
        if self._extrinsics is not None:
            self._extrinsics.close()
        if self._loader is not None:
            self._loader.close()
            self.destroy_subscription(self._model_subscription)
        if self._outputs is not None:
            self._outputs.close()
        self._loader = self._outputs = self._extrinsics = None
        self._input_state.camera = None

    def apply(self, config: DepthNodeConfig) -> None:
        """Hand changed parameters on."""
        if self._outputs is not None and self._loader is not None:
            self._outputs.config = self._loader.config = config
            if (serving := self._loader.serving) is not None:
                serving.estimator.config = config
                if serving.velocities is not None:
                    serving.velocities.max_gap_s = config.max_velocity_gap
        if self._inputs is not None:
            self._inputs.config = config

    def _on_image(self, message: Image | CompressedImage) -> None:
        if self._path is not None and self._path.submit(message):
            time.sleep(HAND_OVER_S)

    def _on_camera(self, camera: CameraModel) -> None:
        if self._loader is not None and self._extrinsics is not None:
            self._extrinsics.look_for(camera.frame_id)
            self._loader.set_camera(camera)

    def _on_velocity(self, velocity: Velocity) -> None:
        self._velocity_guard.check(velocity.stamp_ns)
        serving = None if self._loader is None else self._loader.serving
        if serving is not None and serving.velocities is not None:
            serving.velocities.add(velocity)

    def _on_model(self, message: String) -> None:
        if self._loader is not None:
            self._loader.offer(message.data)

    def _on_velocity_jump(self) -> None:
        if self._loader is not None and self._loader.serving is not None:
            self._loader.serving.clear_velocities()

    def _on_clock_jump(self) -> None:
        if self._loader is not None and self._loader.serving is not None:
            self._loader.serving.reset()
        self._on_velocity_jump()

    def _diagnose(self) -> Diagnosis:
        if self._inputs is not None:
            self._inputs.look_at_publishers()
        return self._status.diagnose(
            self, self._loader, self._inputs, self._path, self._extrinsics
        )


def main(stop: StopEvent) -> int:
    """Run the node until ``stop`` is set."""
    return spin(DepthNode, stop)
