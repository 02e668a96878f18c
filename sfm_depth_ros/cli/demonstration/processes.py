# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of a demo: nodes, player, monitor, and workers of low priority."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.share import find_share

STOP_WITHIN_S = 10.0
DOMAINS = range(1, 102)  # ports of higher domains overlap with ephemeral ones on Linux
CONSOLE_SCRIPTS = ("depth_node", "trainer_node", "bag_player")
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def ros_environment(log_dir: Path, with_profile: bool = True) -> dict[str, str]:
    """An environment in which nodes find each other on this machine and nobody else.

    Args:
        log_dir: Where ROS writes its own logs.
        with_profile: Whether Fast DDS uses ``config/fastdds.xml``, or its defaults.
    """
    environment = dict(os.environ)
    environment |= {
        "ROS_DOMAIN_ID": str(random.choice(DOMAINS)),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(log_dir.absolute()),
        "PYTHONUNBUFFERED": "1",
    }
    environment.pop("FASTDDS_BUILTIN_TRANSPORTS", None)
    for name in PROFILE_VARIABLES:
        environment.pop(name, None)
        if with_profile:
            environment[name] = str(find_share("config/fastdds.xml"))
    return environment


def node_arguments(parameters: Mapping[str, Any], remappings: Mapping[str, str]) -> list[str]:
    """``--ros-args`` for parameters (YAML flow style, as rcl reads it) and remapped topics."""
    arguments = ["--ros-args"]
    for name, value in parameters.items():
        arguments += ["-p", f"{name}:={json.dumps(value)}"]
    for name, topic in remappings.items():
        arguments += ["-r", f"{name}:={topic}"]
    return arguments


class NodeProcess:
    """One node running; a context manager that ends it by SIGINT."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        **pipes: Any,
    ) -> None:
        """Start the process.

        Args:
            name: ``depth_node``, ``trainer_node``, ``bag_player``, or another module of ``nodes``.
            arguments: Its command line.
            environment: From ``ros_environment``.
            log: File that takes its output on stderr (and stdout, unless piped).
            pipes: ``stdin`` and ``stdout`` of ``subprocess.Popen``.
        """
        self.name = name
        self.log = log
        self.seconds_to_stop: float | None = None  # duration of the end, after `stop`
        self._log_file = log.open("ab")
        program = ["main", name] if name in CONSOLE_SCRIPTS else [name]
        command = [sys.executable, "-m", f"sfm_depth_ros.ros.{program[0]}", *program[1:]]
        pipes.setdefault("stdout", self._log_file)
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=dict(environment),
            stderr=self._log_file,
            start_new_session=True,
            **pipes,
        )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log_file.close()

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    def check_running(self) -> None:
        """Raise when the process has ended by itself."""
        if not self.is_running:
            raise SfmDepthError(
                f"{self.name} ended with status {self.process.returncode}: {self.last_words()}"
            )

    def stop(self) -> None:
        """End by SIGINT and check that it was a clean end.

        Raises:
            SfmDepthError: The process had ended before, did not end, or returned an error status.
        """
        self.check_running()
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise SfmDepthError(
                f"{self.name} did not end within {STOP_WITHIN_S:.0f} s of SIGINT; "
                f"its log is {self.log}"
            ) from error
        self.seconds_to_stop = time.monotonic() - started
        if status != 0:
            raise SfmDepthError(
                f"{self.name} ended with status {status} on SIGINT: {self.last_words()}"
            )

    def last_words(self) -> str:
        """The last lines of the log, for an error message."""
        self._log_file.flush()
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"{' | '.join(lines[-3:]) or 'no output'} (log: {self.log})"


PROCESSES = 2


def worker_pool() -> Pool:
    """Processes that leave Ctrl-C to their parent and log warnings alone; a context manager."""
    context = multiprocessing.get_context("spawn")
    return context.Pool(PROCESSES, initializer=_prepare)


def _prepare() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING)
