#!/bin/bash
# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
# Print the README's recipe for a ROS 2 workspace as a script, with a clone in place of the URL.
set -euo pipefail
clone=$(realpath "${1:-.}")
awk '/^#+ In a ROS 2 workspace/ {found = 1} found && /^```/ {if (inside) exit; inside = 1; next} inside' \
    "${clone}/README.md" | grep -v '^ros2 launch' | sed "s#<this repository>#${clone}#"
