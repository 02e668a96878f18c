# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of ``sfm-depth eval``: table, trajectories, and the page with pictures."""
