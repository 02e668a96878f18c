# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live part: both nodes as processes, the drive played to them, learning, then held out."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sfm_depth_ros.cli.demonstration.drives import BagFacts
from sfm_depth_ros.cli.demonstration.monitor import (
    LiveState,
    Monitor,
    progress_line,
    running_monitor,
)
from sfm_depth_ros.cli.demonstration.processes import (
    NodeProcess,
    node_arguments,
    ros_environment,
)
from sfm_depth_ros.cli.demonstration.report import LiveFigures
from sfm_depth_ros.errors import SfmDepthError

START_WITHIN_S = 60.0
DRAIN_WITHIN_S = 10.0
PROGRESS_S = 2.0


@dataclass(frozen=True)
class LivePlan:
    """Options of a live run."""

    bag: BagFacts  # The drive
    # From this time of the drive on, the trainer is paused; None = never
    learnt_until_s: float | None
    loops: int  # How often the part before is played
    out: Path  # Folder for models, logs and counts


@dataclass(frozen=True)
class LiveResult:
    """Result of a live run."""

    figures: LiveFigures  # Counts for the report
    state: LiveState  # Everything they reported
    newest_model: Path | None  # Folder of the last model that was handed over, or None


@dataclass(frozen=True)
class _Session:
    """The processes while they run."""

    plan: LivePlan
    environment: dict[str, str]
    monitor: Monitor
    nodes: tuple[NodeProcess, ...]

    def show_camera(self) -> None:
        """Play the calibration alone, so that no image has to wait for the engines."""
        deadline = time.monotonic() + START_WITHIN_S
        topic = self.plan.bag.remappings["camera_info"]
        while not self.monitor.state.depth.get("model_id"):
            if time.monotonic() > deadline:
                reason = self.monitor.state.depth.get("reason") or "no reason given"
                raise SfmDepthError(f"depth_node loads no model: {reason}")
            self._run_player("camera", "--topics", topic, "--duration", "1")
            self.report()

    def play(self, name: str, *arguments: str) -> list[int]:
        """Play a part of the bag and return the stamps of the images sent."""
        counts = self.plan.out / f"{name}.json"
        counts.unlink(missing_ok=True)
        self._run_player(
            name,
            "--topics",
            *self.plan.bag.topics,
            "--wait-for",
            "2",
            "--json",
            str(counts),
            *arguments,
        )
        stamps_ns: list[int] = json.loads(counts.read_text(encoding="utf-8"))["stamps_ns"]
        return stamps_ns

    def _run_player(self, name: str, *arguments: str) -> None:
        """Run bag_player to its end and show the progress."""
        log = self.plan.out / "log" / f"{name}.log"
        command = [str(self.plan.bag.path), *arguments]
        with NodeProcess("bag_player", command, self.environment, log) as player:
            while player.is_running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    player.process.wait(PROGRESS_S)
                self.report()
            if player.process.returncode != 0:
                player.check_running()

    def report(self) -> None:
        """Print one line, and make sure that nobody has died."""
        for node in self.nodes:
            node.check_running()
        print(progress_line(self.monitor.state, self.monitor.seconds), flush=True)

    def drain(self, played: int) -> None:
        """Wait until every image is accounted for, or nothing changes any more."""
        deadline = time.monotonic() + DRAIN_WITHIN_S
        while time.monotonic() < deadline:
            depth = self.monitor.state.depth
            done = sum(int(depth.get(name) or 0) for name in ("published", "dropped", "failed"))
            if done + int(depth.get("lost") or 0) >= played:
                break
            time.sleep(0.2)
        time.sleep(1.2)  # one more round of diagnostics


def drive_live(plan: LivePlan) -> LiveResult:
    """Run the nodes, play the drive to them, and stop them.

    Raises:
        SfmDepthError: A node did not start, died, lost its connection or did not stop cleanly.
    """
    started = time.monotonic()
    with _start(plan) as session:
        print("waiting for depth_node and trainer_node to become active", flush=True)
        session.monitor.wait_until(
            lambda state: state.are_active, START_WITHIN_S, "activation of both nodes"
        )
        session.show_camera()
        played = _play_drive(session)
        session.report()
        for node in session.nodes:
            node.stop()
        state = session.monitor.state
    seconds = time.monotonic() - started
    _check_stamps(state, played)
    figures = _figures(plan, state, len(played), seconds, session.nodes)
    return LiveResult(figures, state, Path(state.models[-1]) if state.models else None)


def _play_drive(session: _Session) -> list[int]:
    """Play the part to learn from, then, with the trainer paused, the part that is held out.

    Returns:
        Stamps of the images that were played.
    """
    until, loops = session.plan.learnt_until_s, ("--loop", str(session.plan.loops))
    if until is None:
        played = session.play("learning", *loops)
        session.drain(len(played))
        return played
    played = session.play("learning", *loops, "--duration", f"{until:.6f}")
    session.monitor.set_training(False)
    session.monitor.wait_until(
        lambda state: state.training.get("state") == "paused", START_WITHIN_S, "the pause"
    )
    snippets = session.monitor.state.training.get("snippets")
    print("trainer paused: the rest of the drive is held out", flush=True)
    played += session.play("held_out", "--start", f"{until + 1e-6:.6f}")
    session.drain(len(played))
    _check_untouched(session.monitor.state, snippets)
    return played


@contextlib.contextmanager
def _start(plan: LivePlan) -> Iterator[_Session]:
    """Start the monitor and both nodes; whatever happens, all of them end."""
    logs = plan.out / "log"
    logs.mkdir(parents=True, exist_ok=True)
    environment = ros_environment(logs / "ros")
    parameters = {"models_dir": str(plan.out.absolute() / "models"), **plan.bag.parameters}
    arguments = node_arguments(parameters, plan.bag.remappings)
    watched = node_arguments({}, plan.bag.remappings)
    with (
        running_monitor(environment, logs / "monitor.log", watched) as monitor,
        NodeProcess("trainer_node", arguments, environment, logs / "trainer_node.log") as trainer,
        NodeProcess("depth_node", arguments, environment, logs / "depth_node.log") as depth,
    ):
        yield _Session(plan, environment, monitor, (depth, trainer))


def _check_untouched(state: LiveState, snippets_before: object) -> None:
    """The trainer must not have taken anything of the held-out part."""
    snippets = state.training.get("snippets")
    if snippets != snippets_before:
        raise SfmDepthError(
            f"the paused trainer took snippets of the held-out drive: "
            f"{snippets_before} before, {snippets} after"
        )


def _check_stamps(state: LiveState, played: list[int]) -> None:
    """Every depth image must have the stamp of an image that was played, and none twice."""
    seen = state.stamps_ns
    if not set(seen) <= set(played) or len(set(seen)) != len(seen):
        foreign = len(set(seen) - set(played))
        raise SfmDepthError(
            f"of {len(seen)} depth images {foreign} have a stamp that no input "
            f"has, and {len(seen) - len(set(seen))} have one twice"
        )


def _figures(
    plan: LivePlan, state: LiveState, played: int, seconds: float, nodes: tuple[NodeProcess, ...]
) -> LiveFigures:
    depth = state.depth
    count = {
        name: int(depth.get(name) or 0)
        for name in ("received", "dropped", "published", "failed", "lost")
    }
    frames = {
        "played": played,
        "received": count["received"],
        "dropped": count["dropped"],
        "lost": played - count["received"],
        "published": count["published"],
        "failed": count["failed"],
    }
    return LiveFigures(
        frames=frames,
        latency_ms={"p50": depth.get("latency_ms_p50"), "p95": depth.get("latency_ms_p95")},
        models_deployed=len(state.models),
        seconds=seconds,
        details={
            "bag": str(plan.bag.path),
            "loops": plan.loops,
            "learnt_until_s": plan.learnt_until_s,
            "lost_by_dds_count": count["lost"],
            "outputs_seen": len(state.stamps_ns),
            "seconds_to_stop": {node.name: node.seconds_to_stop for node in nodes},
            "depth_node": depth,
            "trainer_node": state.training,
        },
    )
