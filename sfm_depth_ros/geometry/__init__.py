# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Differentiable camera geometry: pinhole, SE(3), warping, frames."""
