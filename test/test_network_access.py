# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package reaches for no network at run time: sockets to elsewhere do not exist for it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sfm_depth_ros.camera.image_files import encode_png

# Modules that speak to other hosts. http.server listens on this computer alone (view).
CLIENTS = ("urllib.request", "http.client", "requests", "ftplib", "smtplib", "huggingface_hub")
DOWNLOADERS = ("load_state_dict_from_url", "hub.load", "urlretrieve", "urlopen", "hf_hub_download")

WITHOUT_NETWORK = """
import socket, sys

def refused(self, address, *rest):
    if self.family == socket.AF_UNIX:
        return connect(self, address, *rest)
    raise AssertionError(f"a connection to {address} was tried")

def unknown(host, *rest, **options):
    raise AssertionError(f"the address of {host} was looked up")

connect = socket.socket.connect
socket.socket.connect = socket.socket.connect_ex = refused
socket.getaddrinfo = socket.gethostbyname = unknown
from sfm_depth_ros.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def _run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK, *words],
        cwd=folder, capture_output=True, text=True, check=False, timeout=280,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_no_module_downloads(source_tree: Path) -> None:
    for path in sorted((source_tree / "sfm_depth_ros").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}", *(f"{node.module}.{a.name}" for a in node.names)]
            assert not [name for name in names if name.startswith(CLIENTS)], path
        assert not [word for word in DOWNLOADERS if f"{word}(" in text], path


def test_commands_work_without_any_network(tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    image = np.random.default_rng(0).integers(0, 255, (128, 416, 3), np.uint8)
    (tmp_path / "image.png").write_bytes(encode_png(image))
    for words in (
        ("info",),
        ("doctor",),
        ("infer", "shipped", "image.png", "--hfov", "80", "--out", "depth"),
        ("synth", "drive", "--seconds", "1", "--size", "416x128"),
        ("doctor", "--bag", "drive"),
        ("replay", "shipped", "drive", "--out", "replayed"),
    ):
        done = _run(*words, folder=tmp_path)
        assert "was tried" not in done.stderr and "looked up" not in done.stderr, done.stderr
        assert words[0] == "doctor" or done.returncode == 0, done.stderr


def test_the_harness_notices_a_connection(tmp_path: Path) -> None:
    code = WITHOUT_NETWORK.partition("from sfm_depth_ros")[0]
    code += "socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert "looked up" in done.stderr
