# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of long measurements: kept after each, so that a stop loses nothing, and documented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sfm_depth_ros.errors import ConfigError


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
        _write(self._path, json.dumps(self.rows, indent=2) + "\n")


def read_section(document: Path, name: str) -> str:
    """Text between ``<!-- figures: NAME -->`` and ``<!-- end -->`` in a document.

    Raises:
        ConfigError: The document has no such section.
    """
    return _find(document, name)[2]


def write_section(document: Path, name: str, text: str) -> None:
    """Replace what :func:`read_section` reads.

    Raises:
        ConfigError: The document has no such section.
    """
    match = _find(document, name)
    before, after = match.string[: match.end(1)], match.string[match.start(3) :]
    _write(document, f"{before}{text.strip()}\n{after}")


def _find(document: Path, name: str) -> re.Match[str]:
    pattern = rf"(<!-- figures: {re.escape(name)} -->\n)(.*?)(<!-- end -->)"
    match = re.search(pattern, document.read_text(encoding="utf-8"), re.DOTALL)
    if match is None:
        raise ConfigError(f"{document} has no section <!-- figures: {name} -->")
    return match


def _write(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
