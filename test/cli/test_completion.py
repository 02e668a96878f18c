# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The script as a shell runs it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sfm_depth_ros.cli.completion import script
from sfm_depth_ros.cli.main import COMMANDS, every_command

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture(scope="module")
def completion() -> str:
    return script(every_command())


def _complete(completion: str, line: str, folder: Path) -> list[str]:
    """Words offered at the end of a line."""
    words = line.split(" ")
    quoted = " ".join(f'"{word}"' for word in words)
    shell = (
        f"{completion}\nCOMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}\n"
        '_sfm_depth\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", shell], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_options_choices_files_and_models(completion: str, tmp_path: Path) -> None:
    (tmp_path / "drive_1").mkdir()
    assert set(COMMANDS) <= set(_complete(completion, "sfm-depth ", tmp_path))
    assert _complete(completion, "sfm-depth doc", tmp_path) == ["doctor"]
    assert _complete(completion, "sfm-depth -v ev", tmp_path) == ["eval"]
    assert _complete(completion, "sfm-depth eval --garg", tmp_path) == ["--garg-crop"]
    assert _complete(completion, "sfm-depth eval --resize d", tmp_path) == ["disparity", "depth"]
    assert _complete(completion, "sfm-depth eval ship", tmp_path) == ["shipped"]
    assert _complete(completion, "sfm-depth eval shipped dri", tmp_path) == ["drive_1"]
    assert _complete(completion, "sfm-depth completion z", tmp_path) == ["zsh"]
