# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One configuration dataclass as ROS parameters: declared, read, and changed live."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from sfm_depth_ros.config.loading import OptionRow, from_mapping, iter_options
from sfm_depth_ros.config.schema import DepthNodeConfig, TrainerNodeConfig
from sfm_depth_ros.errors import ConfigError

FOREIGN = ("qos_overrides.", "use_sim_time", "start_type_description_service")
Config = TypeVar("Config")


class Parameters(Generic[Config]):
    """The parameters of a node."""

    config: Config  # Their current values; always valid

    def __init__(
        self, node: Node, config_class: type[Config], on_change: Callable[[Config], None]
    ) -> None:
        """Declare every option and read what the user gave.

        Args:
            node: The node that gets the parameters.
            config_class: A configuration dataclass; nested ones become dotted names.
            on_change: Called with the new configuration after a dynamic parameter changed.

        Raises:
            ConfigError: A given value has the wrong type or is refused.
        """
        self._class, self._on_change = config_class, on_change
        self._options = {option.path: option for option in iter_options(config_class)}
        self._values = {name: _declare(node, row) for name, row in self._options.items()}
        self.config = from_mapping(config_class, nested(self._values))
        _warn_of_unknown(node)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._apply)

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        ours = self._ours(parameters)
        fixed = [name for name in ours if not self._options[name].dynamic]
        if fixed:
            reason = f"{', '.join(fixed)}: read only; set it where the node is started"
            return SetParametersResult(successful=False, reason=reason)
        try:
            from_mapping(self._class, nested({**self._values, **ours}))
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        ours = self._ours(parameters)
        if ours:
            self._values.update(ours)
            self.config = from_mapping(self._class, nested(self._values))
            self._on_change(self.config)

    def _ours(self, parameters: list[Parameter]) -> dict[str, Any]:
        return {p.name: p.value for p in parameters if p.name in self._options}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as nested mappings: ``{"a.b": 1}`` becomes ``{"a": {"b": 1}}``."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, leaf = name.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[leaf] = list(value) if isinstance(value, (list, tuple)) else value
    return tree


def descriptor(option: OptionRow) -> ParameterDescriptor:
    """Descriptor of an option for ``ros2 param describe``: sentence, range, choices, read only."""
    message = ParameterDescriptor(description=option.doc, read_only=not option.dynamic)
    if option.choices:
        message.additional_constraints = f"one of: {', '.join(option.choices)}"
    low, high = option.minimum, option.maximum
    if low is None and high is None:
        return message
    if isinstance(option.default, int):
        bounds = (-(2**62) if low is None else int(low), 2**62 if high is None else int(high))
        message.integer_range = [IntegerRange(from_value=bounds[0], to_value=bounds[1])]
    else:
        message.floating_point_range = [
            FloatingPointRange(
                from_value=-math.inf if low is None else float(low),
                to_value=math.inf if high is None else float(high),
            )
        ]
    return message


def _warn_of_unknown(node: Node) -> None:
    """Name parameters that were given and that neither node has; a shared file serves both."""
    rows = [*iter_options(DepthNodeConfig), *iter_options(TrainerNodeConfig)]
    known = {row.path for row in rows}
    for name in node._parameter_overrides:
        if name in known or node.has_parameter(name) or name.startswith(FOREIGN):
            continue
        close = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        node.get_logger().warning(f"parameter {name}: no such parameter{hint}")


def _declare(node: Node, option: OptionRow) -> Any:
    default = option.default
    if isinstance(default, tuple):
        default = [float(number) for number in default]
    try:
        return node.declare_parameter(option.path, default, descriptor(option)).value
    except InvalidParameterTypeException as error:
        expected = _type_name(option.default)
        raise ConfigError(f"parameter {option.path}: expected {expected} ({error})") from error
    except InvalidParameterValueException as error:
        raise ConfigError(f"parameter {option.path}: {error}") from error


def _type_name(default: Any) -> str:
    if isinstance(default, tuple):
        return "a list of numbers with decimal points"
    names = {bool: "true or false", int: "a whole number", float: "a number with a decimal point"}
    return names.get(type(default), "a text")
