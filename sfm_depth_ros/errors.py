# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can mend; each message names what was expected, what was got, the remedy."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\bnan\b|\binf\b)")


def kind_of(text: str) -> str:
    """A message without its numbers: the same fault with other values is the same kind."""
    return _NUMBER.sub("#", text)[:160]


class SfmDepthError(Exception):
    """Base of every error that is the input's or the installation's fault, not the program's."""


class ConfigError(SfmDepthError):
    """A parameter, option or configuration file is wrong."""


class DataError(SfmDepthError):
    """An image, message, bag or calibration cannot be used."""


class VelocityGapError(DataError):
    """The velocity buffer does not cover an interval."""

    def __init__(self, message: str, pending: bool = False) -> None:
        super().__init__(message)
        self.pending = pending  # whether only newer velocities are missing, which may come


class ModelError(SfmDepthError):
    """A model folder is missing, damaged, or does not fit."""


class EngineError(SfmDepthError):
    """An inference engine is unavailable, failed, or computes something else than the model."""


class BadImageError(EngineError):
    """The image holds NaN or infinity: no engine can help."""


class TrainingError(SfmDepthError):
    """Training cannot go on (diverged, nothing to learn from, disk full)."""


class MissingDependencyError(SfmDepthError):
    """An optional dependency is needed and absent; the message holds the command to install it."""
