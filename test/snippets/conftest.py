# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Snippets of the plane world."""

from __future__ import annotations

from plane_world import plane_snippets

__all__ = ["plane_snippets"]
