# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine was the fastest, remembered between starts."""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
from pathlib import Path

_logger = logging.getLogger(__name__)


def default_cache_file() -> Path:
    """``~/.cache/sfm_depth_ros/engines.json``, or below ``XDG_CACHE_HOME`` where it is set."""
    root = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser() / "sfm_depth_ros" / "engines.json"


def recall_latencies(file: Path, key: str) -> dict[str, float]:
    """Latencies in milliseconds by engine name, empty where ``key`` was never measured."""
    measured = _read(file).get(key, {})
    return measured if _is_latencies(measured) else {}


def remember_latencies(file: Path, key: str, latencies_ms: dict[str, float]) -> None:
    """Add what was measured, atomically; a cache that cannot be written is only logged."""
    content = {**_read(file), key: latencies_ms}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(prefix=".engines-", dir=file.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=2)
        Path(aside).replace(file)
    except OSError as error:
        _logger.warning(
            "cannot remember the fastest engine in %s (%s); it is measured again at "
            "the next start",
            file,
            error,
        )


def processor_name() -> str:
    """Name of the CPU; ``platform.processor`` is empty on most Linux machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _read(file: Path) -> dict[str, dict[str, float]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _logger.warning(
            "%s is ignored, for it cannot be read (%s); engines are measured again", file, error
        )
        return {}
    if not isinstance(content, dict):
        _logger.warning("%s is ignored, for it holds no object; engines are measured again", file)
        return {}
    return content


def _is_latencies(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(number, (int, float)) for number in value.values())
    )
