# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Self-contained HTML pages: sections, tables, figures, pictures, plots; nothing to load."""
