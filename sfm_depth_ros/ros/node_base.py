# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Base of both nodes: lifecycle, autostart, logging, last failure."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import logging
import math
import time
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
import rclpy.task
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from sfm_depth_ros.config.schema import NodeConfig
from sfm_depth_ros.errors import ConfigError, SfmDepthError, kind_of
from sfm_depth_ros.ros.error_log import KINDS, REPEAT_S, ErrorLog
from sfm_depth_ros.ros.folders import with_own_models
from sfm_depth_ros.ros.main import StopEvent
from sfm_depth_ros.ros.parameters import Parameters
from sfm_depth_ros.ros.qos import is_qos_error
from sfm_depth_ros.ros.start import init_ros


class LogBridge(logging.Handler):
    """Forwards records to a ROS logger."""

    def __init__(self, ros_logger: Any) -> None:
        """Take the logger of a node, ``node.get_logger()``."""
        super().__init__()
        self._logger = ros_logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; rclpy fixes the severity per calling line, so each level has its own."""
        text = self.format(record)
        if record.levelno >= logging.CRITICAL:
            self._logger.fatal(text)
        elif record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._logger.info(text)
        else:
            self._logger.debug(text)


def install_bridge(ros_logger: Any) -> LogBridge:
    """Send everything that this package logs to a ROS logger; levels are then ROS's business."""
    bridge = LogBridge(ros_logger)
    package = logging.getLogger("sfm_depth_ros")
    package.addHandler(bridge)
    package.setLevel(logging.DEBUG)
    package.propagate = False
    return bridge


def remove_bridge(bridge: LogBridge) -> None:
    """Undo :func:`install_bridge`."""
    package = logging.getLogger("sfm_depth_ros")
    package.removeHandler(bridge)
    package.propagate = True


class SfmNode(LifecycleNode):
    """A lifecycle node whose parameters are one dataclass.

    A node overrides ``configure``, ``activate``, ``deactivate``, ``cleanup`` and ``apply``; each
    may raise: the transition then fails and the reason is logged and kept in ``problem``.
    """

    def __init__(self, name: str, config_class: type[NodeConfig]) -> None:
        super().__init__(name)
        self.problem: str | None = None  # Why the last transition failed
        self.is_active = False  # Whether the node is in the state `active`
        self._reported = ""  # Kind of the newest reason
        self._reported_at: dict[str, float] = {}  # Monotonic time of its line in the log
        self.errors = ErrorLog()
        self._bridge = install_bridge(self.get_logger())
        self._options = Parameters(self, config_class, self._apply)
        self._change_state = self._service_change_state.callback
        self._service_change_state.callback = self._on_change_state

    @property
    def config(self) -> Any:
        """The parameters as they are now, with the folder of models of this namespace."""
        return with_own_models(self._options.config, self.get_namespace())

    @property
    def state_label(self) -> str:
        """Lifecycle state: unconfigured, inactive, active, finalized."""
        return str(self._state_machine.current_state[1])

    def configure(self) -> None:
        """Take resources that last from configured to cleaned up."""

    def activate(self) -> None:
        """Begin to listen and to publish."""

    def deactivate(self) -> None:
        """Stop listening and publishing."""

    def cleanup(self) -> None:
        """Give back what ``configure`` took; harmless when there is nothing."""

    def apply(self, config: Any) -> None:
        """A dynamic parameter has changed."""

    def _apply(self, config: NodeConfig) -> None:
        self.apply(with_own_models(config, self.get_namespace()))

    async def finished(self, work: concurrent.futures.Future[Any]) -> None:
        """Wait in a service for another thread's work; inputs and timers are served meanwhile.

        The service needs a callback group that theirs is not.
        """
        executor = self.executor
        assert executor is not None  # it serves this very call
        done = rclpy.task.Future(executor=executor)

        def notify(_: object) -> None:
            done.set_result(None)
            executor.wake()

        work.add_done_callback(notify)
        await done

    def report(self, text: str) -> None:
        """Log the reason, once each time that it changes in more than its numbers.

        One that comes and goes is logged every five seconds at most.
        """
        kind, now = kind_of(text), time.monotonic()
        is_recent = now - self._reported_at.get(kind, -math.inf) < REPEAT_S
        if text and kind != self._reported and not is_recent:
            self.get_logger().warning(text)
            if len(self._reported_at) >= KINDS:
                self._reported_at.clear()
            self._reported_at[kind] = now
        self._reported = kind

    def autostart(self) -> None:
        """Configure and activate, if the parameter ``autostart`` is set."""
        if not self.config.autostart:
            self.get_logger().info("waiting to be configured (autostart is false)")
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def close(self) -> None:
        """Stop everything, from whatever state."""
        if self.is_active:
            self.is_active = False
            self.deactivate()
        self.cleanup()
        remove_bridge(self._bridge)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: unconfigured to inactive."""
        return self._transition("configure", self.is_active, self.cleanup)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: inactive to active."""
        super().on_activate(state)
        return self._transition("activate", True, self.deactivate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: active to inactive."""
        super().on_deactivate(state)
        return self._transition("deactivate", False)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: inactive to unconfigured."""
        return self._transition("cleanup", False)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: any state to finalized."""
        if self.is_active:
            self._transition("deactivate", False)
        return self._transition("cleanup", False)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lifecycle: after a failed transition, back to unconfigured."""
        return self._transition("cleanup", False)

    def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """Service change_state; rclpy itself raises on an illegal transition and the node ends."""
        legal = {row[0]: row[1] for row in self._state_machine.available_transitions}
        wanted = request.transition
        if wanted.label or wanted.id in legal:
            result: ChangeState.Response = self._change_state(request, response)
            return result
        self.get_logger().warning(
            f"transition {wanted.id} refused: in state {self.state_label}, expected one of "
            f"{', '.join(f'{number} ({label})' for number, label in legal.items()) or 'none'}"
        )
        response.success = False
        return response

    def _transition(
        self, step: str, is_active_after: bool, undo: Callable[[], None] | None = None
    ) -> TransitionCallbackReturn:
        """Take a step; ``undo`` gives back what a failed one took: it may be tried again."""
        try:
            getattr(self, step)()
        except Exception as error:  # rclpy would swallow it without a word
            outcome = self._failed(step, error)
            if undo is not None:
                with contextlib.suppress(Exception):  # of a step that came half way
                    undo()
            return outcome
        self.problem, self.is_active = None, is_active_after
        self.get_logger().info(f"{step}: done")
        return TransitionCallbackReturn.SUCCESS

    def _failed(self, step: str, error: Exception) -> TransitionCallbackReturn:
        """Log a failure and keep it; FAILURE where the user can mend it."""
        if isinstance(error, SfmDepthError) or is_qos_error(error):
            self.problem = f"{step} failed: {error}"
            self.get_logger().error(self.problem)
            return TransitionCallbackReturn.FAILURE
        self.problem = f"{step} failed: {type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        self.get_logger().error(f"{self.problem}\n{trace}")
        return TransitionCallbackReturn.ERROR


def _made(make_node: Callable[[], SfmNode]) -> SfmNode:
    """The node.

    Raises:
        ConfigError: A requested quality of service does not exist.
    """
    try:
        return make_node()
    except Exception as error:
        if is_qos_error(error):
            raise ConfigError(str(error)) from error
        raise


def _spin_once(executor: SingleThreadedExecutor, node: SfmNode) -> None:
    """Serve one callback; an error that it did not foresee is logged and the node goes on."""
    try:
        executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        raise
    except Exception as error:
        node.errors.add("callback", error)


def spin(make_node: Callable[[], SfmNode], stop: StopEvent) -> int:
    """Make a node, start it and serve it until ``stop`` is set.

    Returns:
        Exit status.
    """
    stop.is_served = False
    init_ros()
    try:
        node = _made(make_node)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        node.autostart()
        stop.is_served = True
        while not stop.is_set():
            _spin_once(executor, node)
        node.close()
        executor.shutdown(timeout_sec=0.2)
        node.destroy_node()
        # The participant, and its shared memory, lives as long as anything refers to its node.
        del node, executor
        gc.collect()
    finally:
        rclpy.try_shutdown()
    return 0
