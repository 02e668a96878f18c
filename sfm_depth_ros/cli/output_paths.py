# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a command writes, checked before the work: nobody waits an hour for a wrong path."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sfm_depth_ros.errors import ConfigError


def output_file(text: str) -> Path:
    """The type of an argument that names a file to write; its folder must exist."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {path.parent} does not exist; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{path} is not writable; give another name")
    return path


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where there is none, against other processes.

    The kernel lets go of it when this process ends, however it ends.

    Raises:
        ConfigError: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another run is writing {folder}; wait until it has ended, or "
                "choose another --out"
            ) from error
        yield
    finally:
        os.close(held)


def output_folder(text: str) -> Path:
    """The type of an argument that names a folder to write into; it is made when needed."""
    path = Path(text)
    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise argparse.ArgumentTypeError(f"{existing} is a file; give the name of a folder")
    if not os.access(existing, os.W_OK):
        raise argparse.ArgumentTypeError(f"{existing} is not writable; give another folder")
    return path
