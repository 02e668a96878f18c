# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

import pytest

from sfm_depth_ros import __version__
from sfm_depth_ros.cli import doctor
from sfm_depth_ros.cli.main import COMMANDS, MODULES, main
from sfm_depth_ros.errors import DataError


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    script = (
        "import sys, sfm_depth_ros.cli.main as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'cv2', 'rclpy', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_describes_its_arguments(name: str) -> None:
    module = importlib.import_module(f"sfm_depth_ros.cli.{MODULES.get(name, name)}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert "{'option_strings'" not in parser.format_help()  # a bare % in a help text
    assert callable(module.run)


@pytest.mark.parametrize(
    ("raised", "status", "shown"),
    [
        (DataError("no such\nbag; record one"), 1, "sfm-depth: error: no such bag; record one\n"),
        (FileNotFoundError(2, "No such file", "x"), 1, "sfm-depth: error: [Errno 2]"),
        (OSError(28, "No space left"), 1, "sfm-depth: error: [Errno 28] No space left; free some"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_become_one_line(
    raised: BaseException,
    status: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(options: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr(doctor, "run", fail)
    assert main(["doctor"]) == status
    captured = capsys.readouterr().err
    assert captured.startswith(shown)
    assert captured.count("\n") <= 1


@pytest.mark.parametrize("words", [["--help"], ["bag", "--rate", "2"], ["--rate", "2", "bag"]])
def test_play_hands_every_option_to_bag_player(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def become(program: str, command: list[str]) -> None:
        called.append(command)
        raise KeyboardInterrupt

    monkeypatch.setattr("os.execv", become)
    assert main(["play", *words]) == 130
    assert called[0][1:] == ["-m", "sfm_depth_ros.ros.main", "bag_player", *words]


def test_unknown_command_is_refused() -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["fly"])
    assert leaving.value.code == 2
