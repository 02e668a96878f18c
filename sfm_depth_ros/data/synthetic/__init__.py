# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A textured world, rendered exactly: the project's own training and test data."""
