# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and pose networks, and the model folder they are kept in."""
