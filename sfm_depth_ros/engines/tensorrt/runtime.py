# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The installed TensorRT: ``tensorrt`` 10 or 11 first, TensorRT-RTX second, with one interface.

Differences are detected by the attributes of the module, never by its version number.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import threading
from typing import Any

from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.optional import is_available, require

MODULES = ("tensorrt", "tensorrt_rtx")

_logger = logging.getLogger(__name__)


def installed_module() -> str | None:
    """Name of the installed TensorRT module; None where there is none."""
    return next((name for name in MODULES if is_available(name)), None)


def installed_version() -> str | None:
    """Version of that module, without importing it."""
    name = installed_module()
    if name is None:
        return None
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown version"


class TensorRt:
    """The module with its name, version and a log of its own.

    Args:
        module: ``tensorrt``, ``tensorrt_rtx``, or a stand-in.
        name: The module's name.
    """

    def __init__(self, module: Any, name: str) -> None:
        self.module = module
        self.name = name
        self.version = str(module.__version__)
        self.log = make_log(module)

    def __str__(self) -> str:
        """For log lines and cache keys."""
        return f"{self.name} {self.version}"

    @property
    def builds_ahead(self) -> bool:
        """Whether compute capabilities can be given, so that no GPU is needed to build."""
        return hasattr(self.module, "ComputeCapability")

    def capability(self, number: tuple[int, int]) -> Any:
        """The module's name of a compute capability.

        Args:
            number: For example (8, 6).

        Raises:
            EngineError: This TensorRT does not build for it.
        """
        known = self.module.ComputeCapability.__members__
        name = f"SM{number[0]}{number[1]}"
        if name not in known:
            listed = ", ".join(sorted(entry for entry in known if entry.startswith("SM")))
            raise EngineError(
                f"{self} has no compute capability {number[0]}.{number[1]} ({name}),"
                f" only {listed}; install tensorrt, or choose another engine"
            )
        return known[name]

    def all_capabilities(self) -> list[tuple[int, int]]:
        """Every compute capability that a plan can be built for without a GPU."""
        names = [
            name[2:] for name in self.module.ComputeCapability.__members__ if name.startswith("SM")
        ]
        return sorted((int(name[:-1]), int(name[-1])) for name in names)


def load_tensorrt() -> TensorRt:
    """Import the TensorRT that is installed.

    Raises:
        MissingDependencyError: None is installed, or it cannot be loaded.
    """
    return _loaded(installed_module() or MODULES[-1])


@functools.cache
def _loaded(name: str) -> TensorRt:
    """One for the whole process: TensorRT keeps the first log for good."""
    return TensorRt(require(name), name)


def make_log(module: Any) -> Any:
    """A logger for TensorRT that forwards to ours and collects errors.

    Args:
        module: The TensorRT module, whose ``ILogger`` is the base class.
    """

    class Log(module.ILogger):
        """TensorRT's messages: errors are collected, the rest is logged for debugging."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self._errors: list[str] = []
            self._lock = threading.Lock()  # TensorRT calls from its own threads

        def log(self, severity: Any, message: str) -> None:
            """Called by TensorRT."""
            if severity in (module.ILogger.ERROR, module.ILogger.INTERNAL_ERROR):
                with self._lock:
                    self._errors.append(" ".join(message.split()))
            _logger.debug("%s: %s", severity, message)

        def take_errors(self) -> list[str]:
            """Errors since the last call, each once."""
            with self._lock:
                errors, self._errors = self._errors, []
            return list(dict.fromkeys(errors))

    return Log()
