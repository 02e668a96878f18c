# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of places that can be built, by name."""

from __future__ import annotations

from sfm_depth_ros.world.close_range import indoor, yard
from sfm_depth_ros.world.layout import Style
from sfm_depth_ros.world.occluders import posts
from sfm_depth_ros.world.outdoor import country, street

STYLES: dict[str, Style] = {
    "street": Style(street, bend=0.8),
    "country": Style(country, bend=1.0),
    "yard": Style(yard, bend=1.0),
    "indoor": Style(indoor, bend=0.5, indoor=True),
    "posts": Style(posts, bend=0.5),
}
