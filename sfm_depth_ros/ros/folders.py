# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node's folders on disk: apart for each namespace and node, each written by one process."""

from __future__ import annotations

import dataclasses
import fcntl
import os
from pathlib import Path

from sfm_depth_ros.config.schema import NodeConfig, TrainerNodeConfig
from sfm_depth_ros.errors import ConfigError, TrainingError

LOCK = ".owner.lock"
DEFAULT_NODE = "trainer_node"


def with_own_models(config: NodeConfig, namespace: str) -> NodeConfig:
    """The options with ``models_dir`` expanded; its default gets the namespace's own folder.

    Args:
        config: Options of a node.
        namespace: The node's namespace, for example ``"/robot1"``: accepted models then lie in
            ``~/.ros/sfm_depth_ros/robot1/models``.

    Raises:
        ConfigError: ``models_dir`` lies in the home of a user that does not exist.
    """
    folder = Path(config.models_dir)
    if config.models_dir == NodeConfig().models_dir:
        folder = folder.parent / namespace.strip("/") / folder.name
    try:
        return dataclasses.replace(config, models_dir=str(folder.expanduser()))
    except RuntimeError as error:
        raise ConfigError(f"models_dir {folder}: {error} Give a whole path") from error


def buffer_folder(config: TrainerNodeConfig, node_name: str) -> Path:
    """Folder of the snippet buffer: as configured, else beside the models, one for each node."""
    if config.training.buffer_dir:
        return Path(config.training.buffer_dir).expanduser()
    name = "training" if node_name == DEFAULT_NODE else f"training_{node_name}"
    return Path(config.models_dir).parent / name


class FolderLock:
    """Holds a folder against other processes; the kernel releases it however this one ends."""

    def __init__(self, folder: Path, owner: str, parameter: str) -> None:
        """Take the folder, which is made where there is none.

        Args:
            folder: Folder to hold.
            owner: Full name of the node, for the message to others.
            parameter: Name of the parameter that sets the folder.

        Raises:
            TrainingError: Another process holds it, or it cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            raise TrainingError(
                f"{folder} cannot be written ({error.strerror}): set {parameter} to another folder"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            other = self._file.read().strip() or "another process"
            self._file.close()
            raise TrainingError(
                f"{folder} is used by {other}: set {parameter} to another folder, or start this "
                "node in a namespace of its own"
            ) from error
        self._file.truncate(0)
        self._file.write(f"{owner} (process {os.getpid()})\n")
        self._file.flush()

    def release(self) -> None:
        """Let others take the folder."""
        self._file.close()
