# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ways to install, as README, workflows and container files have them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_workspace_recipe_is_the_readmes(source_tree: Path) -> None:
    recipe = subprocess.run(
        ["bash", source_tree / "tools" / "workspace_recipe.sh", source_tree],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    subprocess.run(["bash", "-n"], input=recipe, text=True, check=True)
    lines = recipe.splitlines()
    order = ["git clone", "rosdep install", "-m venv", "pip install", "-m colcon build"]
    places = [next(i for i, line in enumerate(lines) if word in line) for word in order]
    assert places == sorted(places)  # the environment before the build
    assert "--system-site-packages" in recipe and "COLCON_IGNORE" in recipe
    assert "<this repository>" not in recipe and "ros2 launch" not in recipe


@pytest.mark.parametrize("name", ["ci", "audit"])
def test_workflows_are_whole(source_tree: Path, name: str) -> None:
    workflow = yaml.safe_load((source_tree / ".github/workflows" / f"{name}.yml").read_text())
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60 and job["steps"]
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "run" in step and "matrix.symlink" not in step["run"]:
                subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


def test_what_workflows_call_exists(source_tree: Path) -> None:
    texts = [path.read_text() for path in (source_tree / ".github/workflows").glob("*.yml")]
    run = source_tree / ".ci" / "run"
    called = set(re.findall(r"(?:^|[\s/])((?:\.ci|tools|docker|test)/[\w./-]+)", "".join(texts)))
    assert {".ci/run", "docker/Dockerfile", "tools/workspace_recipe.sh"} <= called
    for name in called:
        assert (source_tree / name).exists()
    for script in (run, source_tree / "tools" / "workspace_recipe.sh"):
        assert script.stat().st_mode & 0o111
    targets = re.findall(r"^([a-z -]+):", (source_tree / "Makefile").read_text(), re.MULTILINE)
    made = re.findall(r"^make (\S+)$", run.read_text(), re.MULTILINE)
    assert made == ["lint", "test"] and set(made) <= set(" ".join(targets).split())
    for name in re.findall(r"constraints[\w-]*\.txt", "".join(texts)):
        assert (source_tree / name).exists()


def test_every_distribution_and_python_is_tried(source_tree: Path) -> None:
    jobs = yaml.safe_load((source_tree / ".github/workflows/ci.yml").read_text())["jobs"]
    pythons = jobs["pypi-only"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.10", "3.11", "3.12", "3.13"]
    matrix = jobs["workspace"]["strategy"]["matrix"]
    assert matrix["distro"] == ["humble", "jazzy", "kilted"]
    assert matrix["symlink"] == ["", "--symlink-install"]


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.jetson"])
def test_containers_install_what_the_recipe_does(source_tree: Path, name: str) -> None:
    text = (source_tree / "docker" / name).read_text()
    readme = (source_tree / "README.md").read_text()
    (line,) = re.findall(r"^pip install 'numpy<2' safetensors .*$", readme, re.MULTILINE)
    packages = set(line.split()[2:])
    if name.endswith("jetson"):
        packages.discard("openvino")  # no wheels for its Python; TensorRT is the system's
    assert packages <= set(text.split())
    for copied in re.findall(r"^COPY (\S+) ", text, re.MULTILINE):
        assert (source_tree / copied).exists()
    assert text.index("-m venv --system-site-packages") < text.index("-m colcon build")
    words = ("entrypoint.sh", "COLCON_IGNORE", "python3-venv", "rm -rf /var/lib/apt/lists")
    assert all(word in text for word in words)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_entry_point_is_a_script(source_tree: Path) -> None:
    script = source_tree / "docker" / "entrypoint.sh"
    subprocess.run(["bash", "-n", script], check=True)
    assert script.stat().st_mode & 0o111


def _run_steps(source_tree: Path, name: str) -> list[str]:
    """Shell commands of a container file."""
    text = re.sub(r"^#.*\n", "", (source_tree / "docker" / name).read_text(), flags=re.MULTILINE)
    return re.findall(r"^RUN (.*)$", text.replace("\\\n", " "), re.MULTILINE)


@pytest.mark.skipif(shutil.which("dash") is None, reason="dash, Ubuntu's sh, is not installed")
@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("Dockerfile", "setup.sh"),
        ("Dockerfile.jetson", "setup.sh"),
        ("Dockerfile.jetson", "install/setup.sh"),
    ],
)
def test_containers_build_with_ros_where_it_lies(
    source_tree: Path, tmp_path: Path, name: str, layout: str
) -> None:
    steps = _run_steps(source_tree, name)
    for step in steps:
        subprocess.run(["dash", "-n"], input=step, text=True, check=True)
    setup = tmp_path / "distro" / layout
    setup.parent.mkdir(parents=True)
    setup.write_text("sourced=yes\n")
    (build,) = (step for step in steps if "-m colcon build" in step)
    build = build.replace("/opt/ros", str(tmp_path)).replace(
        "python3 -m colcon build", 'echo "${sourced}" #'
    )
    done = subprocess.run(
        ["dash", "-c", build], env={"ROS_DISTRO": "distro"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "yes\n"
