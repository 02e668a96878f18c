# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""trainer_node: images and velocities in; better models out, while the robot drives."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.extra_inputs import extra_inputs
from sfm_depth_ros.config.schema import TrainerNodeConfig
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.estimation.input_monitor import TRACKING_WIDTH
from sfm_depth_ros.estimation.prepared_model import network_input
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.model_folder.folder import ModelFolder
from sfm_depth_ros.model_folder.history import (
    is_inside,
    point_current,
    prune_models,
    resolve_model,
)
from sfm_depth_ros.model_folder.saving import save_model
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.diagnostics import (
    Diagnosis,
    DiagnosticsPublisher,
    diagnose_training,
    input_report,
    stream_faults,
)
from sfm_depth_ros.ros.extra_inputs import ExtraInputs
from sfm_depth_ros.ros.extrinsics import Extrinsics
from sfm_depth_ros.ros.folders import FolderLock, buffer_folder
from sfm_depth_ros.ros.inputs import InputHandlers, Inputs, InputState
from sfm_depth_ros.ros.main import StopEvent
from sfm_depth_ros.ros.moving_view import MovingView
from sfm_depth_ros.ros.node_base import SfmNode, spin
from sfm_depth_ros.ros.snippet_source import SnippetSource
from sfm_depth_ros.ros.streams import watch_clock
from sfm_depth_ros.share import SHIPPED_MODEL, share_path
from sfm_depth_ros.snippets.values import Snippet
from sfm_depth_ros.training.device import require_device
from sfm_depth_ros.training.offline.rendered_snippets import SnippetRenderer
from sfm_depth_ros.training.online.parts import TrainerParts
from sfm_depth_ros.training.online.rehearsal import PER_DRIVE, World
from sfm_depth_ros.training.online.trainer import OnlineTrainer
from sfm_depth_ros.world.camera_spec import HIGHEST, LOWEST, own_camera

MODELS_KEPT = 10
NOT_CONFIGURED = "the node is not configured"


class TrainerNode(SfmNode):
    """Wires parameters, inputs, the online trainer, its services and the model topic together."""

    def __init__(self) -> None:
        super().__init__("trainer_node", TrainerNodeConfig)
        self._input_state = InputState()
        self._trainer: OnlineTrainer | None = None
        self._former: OnlineTrainer | None = None  # Cleaned up, perhaps within a step
        self._source: SnippetSource | None = None
        self._extrinsics: Extrinsics | None = None
        self._inputs: Inputs | None = None
        self._extra_inputs: ExtraInputs | None = None
        self._locks: list[FolderLock] = []
        self._clock_watch = watch_clock(self, self._on_clock_jump)
        self._models = self.create_publisher(
            String, "model", qos.latched(), qos_overriding_options=qos.overrides()
        )
        self._moving = MovingView(self)
        self._status = DiagnosticsPublisher(self, "training/status", self._diagnose)
        self.create_service(SetBool, "~/set_training", self._on_set_training)
        beside = MutuallyExclusiveCallbackGroup()  # they wait for a step, inputs do not
        for name in ("save_model", "rollback", "reset", "accept_scale"):
            handler = functools.partial(self._on_request, name)
            self.create_service(Trigger, f"~/{name}", handler, callback_group=beside)

    def configure(self) -> None:
        """Load the model into a trainer; what it learnt before is taken up again."""
        if self._former is not None:
            self._former.stop(timeout=None)  # it saves its state to the same folder
            self._former = None
        config: TrainerNodeConfig = self.config
        require_device(config.training.device)
        os.nice(max(0, config.training.niceness - os.nice(0)))
        models_dir = Path(config.models_dir)
        buffer_dir = buffer_folder(config, self.get_name())
        owner = self.get_fully_qualified_name()
        self._locks = [FolderLock(models_dir, owner, "models_dir")]
        if buffer_dir != models_dir:
            self._locks.append(FolderLock(buffer_dir, owner, "training.buffer_dir"))
        folder = resolve_model(config.model, config.models_dir, share_path(SHIPPED_MODEL))
        parts = TrainerParts(
            training=config.training,
            objective=config.objective,
            folder=folder,
            work_dir=buffer_dir,
            save=functools.partial(save_model, models_dir),
            deploy=self._hand_over,
            make_world=self._world_of,
            mounting=self._mounting_on_floor,
        )
        self._trainer = OnlineTrainer(parts)
        wanted = network_input(folder, config, TRACKING_WIDTH)
        self._source = SnippetSource(config, wanted, self._on_snippet, self.errors)
        self._extrinsics = Extrinsics(self, config, self._source.set_mounting)
        if is_inside(models_dir, folder.path):
            self._publish(folder)

    def activate(self) -> None:
        """Listen and learn."""
        assert self._trainer is not None and self._source is not None
        source = self._source
        handlers = InputHandlers(source.add_image, self._on_camera, source.add_velocity)
        self._inputs = Inputs(self, self.config, handlers, self._input_state, self.errors)
        self._listen_beside(self.config)
        self._trainer.start()

    def deactivate(self) -> None:
        """Stop listening and learning."""
        for inputs in (self._inputs, self._extra_inputs):
            if inputs is not None:
                inputs.close()
        if self._trainer is not None:
            self._trainer.stop(timeout=0.9)
        self._inputs = self._extra_inputs = None

    def cleanup(self) -> None:
        """Give the trainer back; snippets and state stay on disk."""
        if self._extrinsics is not None:
            self._extrinsics.close()
        if self._source is not None:
            self._source.close()
        self._former = self._trainer or self._former
        self._trainer = self._source = self._extrinsics = None
        for lock in self._locks:
            lock.release()
        self._locks = []
        self._input_state.camera = None

    def apply(self, config: TrainerNodeConfig) -> None:
        """Hand changed parameters on."""
        if self._trainer is not None and self._source is not None:
            self._trainer.configure(config.training, config.objective)
            self._source.configure(config)
        if self._inputs is not None:
            self._inputs.config = config
            self._listen_beside(config)

    def _listen_beside(self, config: TrainerNodeConfig) -> None:
        """Subscribe to the extra inputs that the objective uses, and to no others."""
        assert self._source is not None  # made before anything is listened to
        roles, before = extra_inputs(config.objective), self._extra_inputs
        if before is not None and before.roles == roles:
            return
        if before is not None:
            before.close()
        self._source.expect(roles)
        is_compressed = config.image_transport == "compressed"
        self._extra_inputs = ExtraInputs(self, roles, is_compressed, self._source, self.errors)

    def _on_camera(self, camera: CameraModel) -> None:
        if self._source is not None and self._extrinsics is not None:
            self._extrinsics.look_for(camera.frame_id)
            self._source.set_camera(camera)

    def _on_snippet(self, snippet: Snippet) -> None:
        if (trainer := self._trainer) is not None:
            trainer.add_snippet(snippet)
            frame_id = self._input_state.image_frame or ""
            self._moving.show(snippet, trainer.deployed, frame_id)

    def _world_of(self, intrinsics: Intrinsics) -> World:
        """Rendered drives to replay: through random cameras, and every second one through this.

        This very camera only if its height is known; its gain must not be the others' loss.
        """
        pose = None if self._source is None else self._source.T_base_camera
        camera = None if pose is None else own_camera(intrinsics, pose)
        width, height = intrinsics.width, intrinsics.height
        renderer = SnippetRenderer(width, height, PER_DRIVE, camera, is_alternating=True)
        return World(f"{camera or 'no camera'} and random ones", renderer, camera is not None)

    def _mounting_on_floor(self) -> np.ndarray | None:
        """Pose of the camera in the base, if it is known and the base may lie on the floor."""
        source, extrinsics = self._source, self._extrinsics
        pose = None if source is None else source.T_base_camera
        if pose is None or extrinsics is None or not extrinsics.is_given:
            return None
        return pose if LOWEST <= pose[2, 3] <= HIGHEST else None

    def _on_clock_jump(self) -> None:
        if self._source is not None:
            self._source.forget()

    def _hand_over(self, folder: ModelFolder) -> None:
        """Publish an accepted model; called in the trainer's thread."""
        models_dir = Path(self.config.models_dir)
        point_current(models_dir, folder)
        self._publish(folder)
        prune_models(models_dir, MODELS_KEPT)

    def _publish(self, folder: ModelFolder) -> None:
        self._models.publish(String(data=str(folder.path)))

    def _on_set_training(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        response.success = self._trainer is not None
        response.message = NOT_CONFIGURED
        if self._trainer is not None:
            response.message = self._trainer.set_training(request.data)
        return response

    async def _on_request(
        self, name: str, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._trainer is None:
            response.success, response.message = False, NOT_CONFIGURED
            return response
        outcome = getattr(self._trainer, name)()
        await self.finished(outcome)
        try:
            result = outcome.result()
            response.success, response.message = True, str(getattr(result, "path", result))
        except SfmDepthError as error:
            response.success, response.message = False, str(error)
        return response

    def _diagnose(self) -> Diagnosis:
        missing, faults = "", ()  # type: str, tuple[str, ...]
        source = self._source
        if self._trainer is not None and self._inputs is not None and source is not None:
            self._inputs.look_at_publishers()
            inputs = input_report(self._inputs, self.errors, self._extrinsics, source)
            self._trainer.set_inputs(inputs)
            missing = inputs.missing
            faults = (
                *stream_faults(self._inputs, self._extrinsics),
                *source.stamp_faults,
                *(fault.text for fault in source.faults),
            )
            self.report(missing or inputs.gated or (faults[0] if faults else ""))
        mounting = "" if self._extrinsics is None else self._extrinsics.source
        facts = {"mounting": mounting, **self.errors.facts()}
        return diagnose_training(
            self, self._trainer, self._source, self._input_state, missing, faults, facts
        )


def main(stop: StopEvent) -> int:
    """Run the node until ``stop`` is set."""
    return spin(TrainerNode, stop)
