# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of long measurements, kept after each so that a stop loses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Figures:
    """Rows of figures by name in a JSON file.

    Args:
        path: The file; what it holds already is kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: dict[str, dict[str, Any]] = {}
        if path.exists():
            self.rows = json.loads(path.read_text(encoding="utf-8"))

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Put a row in place of the one of its name, and write the file."""
        self.rows = dict(sorted({**self.rows, name: row}.items()))
        aside = self._path.with_suffix(".tmp")
        aside.write_text(json.dumps(self.rows, indent=2) + "\n", encoding="utf-8")
        aside.replace(self._path)
