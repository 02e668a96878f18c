# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of accepted models, and which of them may go when there are too many."""

from __future__ import annotations

import logging
import re
import shutil
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.model_folder.folder import CURRENT, ModelFolder
from sfm_depth_ros.model_folder.metadata import read_metadata
from sfm_depth_ros.storage import ASIDE

_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{12}")

ABANDONED_S = 3600.0  # nobody writes a folder for an hour

_logger = logging.getLogger(__name__)


def model_folder_name(model_id: str, created: datetime | None = None) -> str:
    """Name that sorts by time: ``<UTC time>-<model id>``."""
    utc = (created or datetime.now(timezone.utc)).astimezone(timezone.utc)
    return f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z-{model_id}"


def prune_models(models_dir: Path, keep: int) -> list[Path]:
    """Remove the oldest accepted models, and what a crash left half-written.

    Folders whose names are not of ``model_folder_name`` belong to the user and are left alone,
    and so are the model that ``current`` points at and its parent (the way back).

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
