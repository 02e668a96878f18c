# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of accepted models, and which of them may go when there are too many."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.files import resolved
from sfm_depth_ros.model_folder.folder import ModelFolder, read_model_folder
from sfm_depth_ros.model_folder.metadata import read_metadata
from sfm_depth_ros.storage import ASIDE

CURRENT = "current"
SHIPPED = "shipped"

_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{12}")

ABANDONED_S = 3600.0  # nobody writes a folder for an hour

_logger = logging.getLogger(__name__)


def model_folder_name(model_id: str) -> str:
    """Name of a model written now that sorts by time: ``<UTC time>-<model id>``."""
    utc = datetime.now(timezone.utc)
    return f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z-{model_id}"


def prune_models(models_dir: Path, keep: int) -> list[Path]:
    """Remove the oldest accepted models, and what a crash left half-written.

    Folders whose names are not of ``model_folder_name`` belong to the user and are left alone,
    and so are the model that ``current`` points at and its parent (for a rollback).

    Args:
        models_dir: Folder of accepted models.
        keep: How many of the newest stay in any case.

    Returns:
        The folders that were removed.
    """
    if keep < 1:
        raise ValueError(f"keep: expected at least 1, got {keep}")
    root = models_dir.expanduser().resolve()
    accepted = sorted(
        path
        for path in root.iterdir()
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )
    current = (root / CURRENT).resolve()
    parent = _metadata(current).get("parent")
    removable = [
        path
        for path in accepted[:-keep]
        if path != current and (parent is None or _model_id(path) != parent)
    ]
    for path in removable:
        shutil.rmtree(path, ignore_errors=True)
        _logger.info("removed the old model %s", path.name)
    for path in root.glob(f"{ASIDE}*"):
        if time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)
    return removable


def _model_id(path: Path) -> str | None:
    metadata = _metadata(path)
    return ModelFolder(path, metadata).model_id if metadata else None


def _metadata(path: Path) -> dict[str, Any]:
    """Content of ``model.json``, empty where it cannot be read: such a model is no parent."""
    try:
        return read_metadata(path)
    except ModelError as error:
        _logger.debug("%s", error)
        return {}


def is_inside(models_dir: Path | str, path: Path | str) -> bool:
    """Whether ``path``, symbolic links followed, lies below ``models_dir``.

    Raises:
        ModelError: One of them is no path.
    """
    return resolved(models_dir) in resolved(path).parents


def point_current(models_dir: Path, folder: ModelFolder) -> None:
    """Let ``models_dir/current`` name this model, atomically.

    Raises:
        ModelError: The model lies elsewhere, or ``current`` is no link and cannot be replaced.
    """
    root = models_dir.expanduser().resolve()
    if not is_inside(root, folder.path):
        raise ModelError(f"{folder.path} lies outside of {root}; copy it there first")
    link = root / f".{CURRENT}-{uuid.uuid4().hex}"
    try:
        link.symlink_to(folder.path.relative_to(root), target_is_directory=True)
        link.replace(root / CURRENT)
    except OSError as error:
        link.unlink(missing_ok=True)
        raise ModelError(
            f"cannot point {root / CURRENT} at {folder.path.name} ({error}); "
            f"remove {root / CURRENT} if it is no symbolic link"
        ) from error


def resolve_model(model: str, models_dir: str, shipped: Path) -> ModelFolder:
    """Choose the model to start with: the given one, else ``current``, else the shipped one.

    Args:
        model: A folder, ``"shipped"``, or ``"current"``; empty = not given. A damaged one is an
            error, since it was named explicitly.
        models_dir: Folder of accepted models.
        shipped: The package's own model.

    Raises:
        ModelError: The chosen model is missing or damaged.
    """
    root = Path(models_dir).expanduser()
    current = root / CURRENT
    if model == SHIPPED:
        return _chosen(read_model_folder(shipped), SHIPPED)
    if model == CURRENT and not os.path.lexists(current):
        raise ModelError(f"{current} does not exist: no model was accepted yet; take {SHIPPED}")
    if model:
        chosen = read_model_folder(current if model == CURRENT else model)
        return _chosen(chosen, f"named as {model}")
    if not os.path.lexists(current):
        return _chosen(read_model_folder(shipped), f"shipped; {current} does not exist")
    try:
        if not is_inside(root, current):
            raise ModelError(f"{current} points outside of {root}; point it at a model inside")
        return _chosen(read_model_folder(current), f"newest accepted, {current}")
    except ModelError as error:
        _logger.warning("%s is not used: %s", current, error)
        return _chosen(read_model_folder(shipped), "shipped; the newest accepted is not valid")


def _chosen(folder: ModelFolder, why: str) -> ModelFolder:
    _logger.info("model %s from %s (%s)", folder.model_id, folder.path, why)
    return folder
