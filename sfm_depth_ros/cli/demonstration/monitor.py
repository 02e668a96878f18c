# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""State of the running nodes, read from the monitor's JSON lines and shown as one line."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sfm_depth_ros.cli.demonstration.processes import NodeProcess
from sfm_depth_ros.errors import SfmDepthError

NODES = ("depth_node", "trainer_node")


@dataclass
class LiveState:
    """The newest of everything, and the history of what is plotted."""

    states: dict[str, str] = field(default_factory=dict)  # Lifecycle state by node
    depth: dict[str, Any] = field(default_factory=dict)  # Newest facts of depth_node's diagnostics
    training: dict[str, Any] = field(default_factory=dict)  # Newest facts of trainer_node's status
    models: list[str] = field(default_factory=list)  # Paths of accepted models, in order
    stamps_ns: list[int] = field(default_factory=list)  # Stamps of the depth images seen
    # One row per training status: seconds since start and its facts
    history: list[dict[str, Any]] = field(default_factory=list)
    # The same of depth_node's diagnostics
    depth_history: list[dict[str, Any]] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)  # Of services, newest last

    def take(self, event: dict[str, Any], seconds: float) -> None:
        """Take one event of ``ros/demo_monitor``."""
        kind = event["event"]
        if kind == "state":
            self.states[event["node"]] = event["state"]
        elif kind == "depth":
            self.depth = event["facts"] | {"message": event["message"]}
            self.depth_history.append({"seconds": seconds, **event["facts"]})
        elif kind == "training":
            self.training = event["facts"] | {"message": event["message"]}
            self.history.append({"seconds": seconds, **event["facts"]})
        elif kind == "model" and event["path"] not in self.models:
            self.models.append(event["path"])
        elif kind == "outputs":
            self.stamps_ns += event["stamps_ns"]
        elif kind == "called":
            self.responses.append(event)

    @property
    def are_active(self) -> bool:
        """Whether both nodes report ``active``."""
        return all(self.states.get(name) == "active" for name in NODES)


@contextlib.contextmanager
def running_monitor(
    environment: Mapping[str, str], log: Path, arguments: Sequence[str] = ()
) -> Iterator[Monitor]:
    """A monitor with its process ``ros/demo_monitor``, which ends with the context.

    Args:
        environment: Of the process.
        log: File for its log.
        arguments: Remappings to the topics of the watched nodes.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with NodeProcess("demo_monitor", arguments, environment, log, **pipes) as node:
        assert node.process.stdin is not None and node.process.stdout is not None
        yield Monitor(node.process.stdout, node.process.stdin)


class Monitor:
    """Reads the events in a thread of its own and sends commands."""

    def __init__(self, events: IO[str], commands: IO[str]) -> None:
        self.state = LiveState()
        self._commands = commands
        self._started = time.monotonic()
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=(events,), daemon=True).start()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def wait_until(self, is_reached: Any, timeout_s: float, what: str) -> None:
        """Wait until ``is_reached(state)``.

        Raises:
            SfmDepthError: It was not reached in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: is_reached(self.state), timeout_s):
                raise SfmDepthError(
                    f"{what} did not happen within {timeout_s:.0f} s; states: "
                    f"{self.state.states or 'none reported'}"
                )

    def set_training(self, is_wanted: bool) -> None:
        """Pause or resume the trainer and wait for its response.

        Raises:
            SfmDepthError: No response, or a refusal.
        """
        count = len(self.state.responses)
        self._send({"set_training": is_wanted})
        self.wait_until(lambda state: len(state.responses) > count, 15.0, "the trainer's response")
        response = self.state.responses[-1]
        if not response["success"]:
            raise SfmDepthError(f"set_training was refused: {response['message']}")

    def offer(self, path: Path) -> None:
        """Publish the path of a model, as the trainer does."""
        self._send({"offer": str(path)})

    def _send(self, command: dict[str, Any]) -> None:
        self._commands.write(json.dumps(command) + "\n")
        self._commands.flush()

    def _read(self, events: IO[str]) -> None:
        for line in events:
            with self._changed:
                self.state.take(json.loads(line), self.seconds)
                self._changed.notify_all()


def progress_line(state: LiveState, seconds: float) -> str:
    """One line of plain text on how it goes."""
    depth, training = state.depth, state.training
    parts = [
        f"{seconds:4.0f} s",
        f"images {_number(depth.get('received'), '.0f')}",
        f"{_number(depth.get('rate_hz'), '.1f')} fps",
        f"{_number(depth.get('latency_ms_p50'), '.0f')} ms",
        f"dropped {_number(depth.get('dropped'), '.0f')}",
        f"lost {_number(depth.get('lost'), '.0f')}",
        f"| {training.get('state') or 'training'} step {_number(training.get('steps'), '.0f')}",
        f"photo {_number(training.get('loss.photometric'), '.3f')}",
        f"velocity {_number(training.get('loss.velocity'), '.3f')}",
        f"| scale depth {_number(depth.get('depth_scale_ratio'), '.3f')}",
        f"motion {_number(depth.get('translation_scale_ratio'), '.3f')}",
        f"| models {len(state.models)}",
    ]
    return "  ".join(parts)


def _number(value: Any, style: str) -> str:
    return format(value, style) if isinstance(value, (int, float)) else "-"
