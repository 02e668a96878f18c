# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One configuration field: its default, its sentence, its bounds; and the check that uses them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from sfm_depth_ros.errors import ConfigError


def option(
    default: Any,
    doc: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    dynamic: bool = False,
) -> Any:
    """Declare a dataclass field with everything that the outside needs to know of it.

    Args:
        default: Default value; a tuple stands for a list of numbers.
        doc: One sentence for people, without a full stop.
        minimum: Smallest allowed number (inclusive).
        maximum: Largest allowed number (inclusive).
        choices: Allowed strings.
        dynamic: Whether a running node takes a new value.
    """
    metadata = {
        "doc": doc,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "dynamic": dynamic,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_options(config: Any) -> None:
    """Check every field of a dataclass instance against its declared bounds.

    Raises:
        ConfigError: A value is of the wrong type, out of range, or not one of the choices.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not dataclasses.is_dataclass(value):
            _check(field, value)


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    choices = field.metadata.get("choices")
    if choices is not None and value not in choices:
        raise ConfigError(f"{field.name}: expected one of {', '.join(choices)}, got {value!r}")
    default = field.default
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        _check_range(field, float(number))
    if type(default) is not type(value) and not (
        isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
    ):
        expected = type(default).__name__
        raise ConfigError(f"{field.name}: expected {expected}, got {value!r}")


def _check_range(field: dataclasses.Field[Any], number: float) -> None:
    low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
    if (
        not math.isfinite(number)
        or (low is not None and number < low)
        or (high is not None and number > high)
    ):
        raise ConfigError(f"{field.name}: expected a number in [{low}, {high}], got {number}")
