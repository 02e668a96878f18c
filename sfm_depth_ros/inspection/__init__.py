# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inspection of a robot's inputs, live or recorded: facts, and what is wrong about them."""
