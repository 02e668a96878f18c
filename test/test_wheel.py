# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A wheel in a fresh environment, with no clone beside it."""

from __future__ import annotations

import os
import shutil
import signal
import site
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.camera.image_files import encode_png

setuptools = pytest.importorskip("setuptools")
if int(setuptools.__version__.split(".")[0]) < 71:  # earlier ones need the package wheel
    pytest.importorskip("wheel")

LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "out", "build", "install", "log", ".*_cache")


@pytest.fixture(scope="module")
def wheel(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built offline, from a copy: setuptools writes into the tree."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    shutil.copytree(source_tree, copy, ignore=LEFT_OUT)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(out), str(copy)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


def test_models_launch_files_and_configuration_are_inside(wheel: Path, source_tree: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    share = f"{'-'.join(wheel.name.split('-')[:2])}.data/data/share/sfm_depth_ros"
    for folder in ("launch", "config", "models"):
        for path in (source_tree / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{share}/{path.relative_to(source_tree).as_posix()}" in names
    assert f"{share}/package.xml" in names
    assert not [name for name in names if name.startswith(("test/", "tools/"))]
    assert not [name for name in names if name.endswith("/bin/sfm-depth")]  # pip makes it


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; its requirements are those of this one, without a network."""
    fresh = tmp_path_factory.mktemp("installed") / "fresh"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    install = [fresh / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*install, "--no-deps", wheel], check=True, env=_environment())
    packages = next(fresh.glob("lib/python*/site-packages"))
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))  # after its own
    return fresh


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": ""}


def test_it_works_where_no_clone_is(fresh: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (128, 416, 3), np.uint8)
    (tmp_path / "image.png").write_bytes(encode_png(image))

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            words, cwd=tmp_path, env=_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import sfm_depth_ros; print(sfm_depth_ros.__file__)"
    found = run(fresh / "bin" / "python", "-c", where)
    assert Path(found.strip()).is_relative_to(fresh)
    command = fresh / "bin" / "sfm-depth"
    assert "doctor" in run(command, "--help")
    assert str(fresh / "share" / "sfm_depth_ros" / "models") in run(command, "info")
    run(command, "infer", "shipped", "image.png", "--hfov", "80", "--out", "depth")
    assert list((tmp_path / "depth").iterdir())


@pytest.mark.parametrize("node", ["depth_node", "trainer_node"])
def test_nodes_start_from_it(fresh: Path, tmp_path: Path, node: str) -> None:
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    command = [fresh / "bin" / node, "--ros-args", "-p", f"models_dir:={tmp_path / 'models'}"]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=_environment(), stdout=file, stderr=file
        )
    end = time.monotonic() + 60
    while "activate: done" not in log.read_text():
        assert process.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
