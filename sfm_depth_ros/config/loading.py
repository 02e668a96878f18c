# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options: their declaration, and mappings, YAML files and ``--set a.b=c`` into dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

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


def redefined(config_class: type, name: str, default: Any) -> Any:
    """Declare an option of a base class with another default in a derived one."""
    known = next(f for f in dataclasses.fields(config_class) if f.name == name)
    return dataclasses.field(default=default, metadata=known.metadata)


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


ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class OptionRow:
    """One option as the outside sees it: a line of a table, a ROS parameter."""

    path: str  # Dotted name, `training.batch_size`
    default: Any  # Default value
    doc: str  # One sentence without a full stop
    minimum: float | None  # Smallest number, or None
    maximum: float | None  # Largest number, or None
    choices: tuple[str, ...] | None  # Allowed strings, or None
    dynamic: bool  # Whether a running node takes a new value


def load_config(
    config_class: type[ConfigT], path: Path | None = None, overrides: Sequence[str] = ()
) -> ConfigT:
    """Build a configuration from a YAML file and ``a.b=c`` overrides; defaults fill the rest.

    Raises:
        ConfigError: Unreadable file, unknown key, wrong type, value out of range.
    """
    mapping = _read_yaml(path) if path is not None else {}
    for override in overrides:
        _merge_override(mapping, override)
    return from_mapping(config_class, mapping)


def from_mapping(
    config_class: type[ConfigT], mapping: Mapping[str, Any], prefix: str = ""
) -> ConfigT:
    """Build a dataclass from a nested mapping; strings are parsed where a number is expected.

    Raises:
        ConfigError: Unknown key (with its full path), wrong type, value out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(cast(Any, config_class))}
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        path = f"{prefix}{key}"
        if key not in fields:
            raise ConfigError(_unknown_key(path, str(key), list(fields)))
        values[key] = _convert(fields[key], value, path)
    try:
        return config_class(**values)
    except ConfigError as error:
        raise ConfigError(_with_path(prefix, str(error), list(fields))) from error


def to_dict(config: Any) -> dict[str, Any]:
    """Convert a configuration to plain nested dicts and lists, ready for YAML or JSON."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            plain[field.name] = to_dict(value)
        else:
            plain[field.name] = list(value) if isinstance(value, tuple) else value
    return plain


def iter_options(config_class: type[Any], prefix: str = "") -> Iterator[OptionRow]:
    """Yield every option of a configuration, nested ones with dotted names, in declared order."""
    for field in dataclasses.fields(config_class):
        nested = _nested_class(field)
        if nested is not None:
            yield from iter_options(nested, f"{prefix}{field.name}.")
            continue
        metadata = field.metadata
        yield OptionRow(
            path=f"{prefix}{field.name}",
            default=field.default,
            doc=metadata.get("doc", ""),
            minimum=metadata.get("minimum"),
            maximum=metadata.get("maximum"),
            choices=metadata.get("choices"),
            dynamic=metadata.get("dynamic", False),
        )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping of options, got {type(content).__name__}")
    return content


def _merge_override(mapping: dict[str, Any], override: str) -> None:
    path, equals, value = override.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"--set {override}: expected name=value, for example training.seed=3")
    *parents, name = path.strip().split(".")
    for parent in parents:
        mapping = mapping.setdefault(parent, {})
        if not isinstance(mapping, dict):
            raise ConfigError(f"--set {override}: {parent} is a value, not a group of options")
    mapping[name] = value


def _convert(field: dataclasses.Field[Any], value: Any, path: str) -> Any:
    nested = _nested_class(field)
    if nested is not None:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{path}: expected a group of options, got {value!r}")
        return from_mapping(nested, value, f"{path}.")
    if isinstance(field.default, str):
        return value
    if isinstance(value, str):
        value = _parse_scalar(value, path)
    if isinstance(field.default, float):
        return _to_float(value, path)
    if isinstance(field.default, tuple):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path}: expected a list of numbers, got {value!r}")
        return tuple(_to_float(number, path) for number in value)
    return value


def _to_float(value: Any, path: str) -> float:
    """Read a number, also one like ``1e-4`` that YAML 1.1 takes for a string."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ConfigError(f"{path}: expected a number, got {value!r}")
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(f"{path}: expected a number, got {value!r}") from error


def _parse_scalar(text: str, path: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: cannot be understood: {text!r}") from error


def _nested_class(field: dataclasses.Field[Any]) -> type[Any] | None:
    """The dataclass that a field holds, declared by its class as factory, or None."""
    factory = field.default_factory
    if isinstance(factory, type) and dataclasses.is_dataclass(factory):
        return factory
    return None


def _with_path(prefix: str, message: str, names: list[str]) -> str:
    """Add the full path to a message of the option checks, which have the field's name alone."""
    if not prefix or message.partition(":")[0] in names:
        return prefix + message
    return f"{prefix.rstrip('.')}: {message}"


def _unknown_key(path: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{path}: no such option; {hint}"
