#!/bin/bash
# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
# Source ROS 2 and the workspace, then become the command.
for setup in "/opt/ros/${ROS_DISTRO}/install/setup.bash" "/opt/ros/${ROS_DISTRO}/setup.bash"; do
    if [ -f "${setup}" ]; then
        . "${setup}"
        break
    fi
done
. /ws/install/setup.bash
exec "$@"
