# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameter tables of the documents, from the one table of options.

``make docs`` rewrites what stands between ``<!-- options: CLASS -->`` and ``<!-- end -->``; a test
compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from sfm_depth_ros.config import schema
from sfm_depth_ros.config.loading import OptionRow, iter_options

_SECTION = re.compile(
    r"(<!-- options: (\w+)(?: without (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL
)


def update(text: str) -> str:
    """Fill every marked section of a document.

    A section may name a second class whose options are left out, because another table has them.
    """
    return _SECTION.sub(_section, text)


def option_table(config_class: type[Any], without: type[Any] | None = None) -> str:
    """A Markdown table of a configuration's options.

    Args:
        config_class: Configuration dataclass.
        without: Configuration whose options are left out.
    """
    skipped = set() if without is None else {row.path for row in iter_options(without)}
    lines = ["| option | default | range | live | meaning |", "|---|---|---|---|---|"]
    lines += [_row(row) for row in iter_options(config_class) if row.path not in skipped]
    return "\n".join(lines) + "\n"


def _section(match: re.Match[str]) -> str:
    opening, name, without, closing = match.groups()
    left_out = getattr(schema, without) if without else None
    return f"{opening}{option_table(getattr(schema, name), left_out)}{closing}"


def _row(row: OptionRow) -> str:
    live = "yes" if row.dynamic else ""
    default = f"`{_plain(row.default)}`" if row.default != "" else "empty"
    return f"| `{row.path}` | {default} | {_range(row)} | {live} | {row.doc.replace('|', '/')} |"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _range(row: OptionRow) -> str:
    if row.choices:
        return ", ".join(row.choices)
    if row.minimum is None and row.maximum is None:
        return ""
    low, high = (f"{bound:g}" if bound is not None else "" for bound in (row.minimum, row.maximum))
    return f"{low} to {high}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        document = Path(name)
        document.write_text(update(document.read_text(encoding="utf-8")), encoding="utf-8")
