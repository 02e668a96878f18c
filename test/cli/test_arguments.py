# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from sfm_depth_ros.cli.arguments import output_file, output_folder, parse_size, sole_writer
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.model_folder.folder import ModelFolder


def test_a_file_needs_a_folder_and_is_none(tmp_path: Path) -> None:
    assert output_file(str(tmp_path / "x.json")) == tmp_path / "x.json"
    with pytest.raises(ArgumentTypeError, match="is a folder"):
        output_file(str(tmp_path))
    with pytest.raises(ArgumentTypeError, match="does not exist"):
        output_file(str(tmp_path / "none" / "x.json"))


def test_a_folder_may_be_new_but_no_file(tmp_path: Path) -> None:
    assert output_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        with pytest.raises(ArgumentTypeError, match="is a file"):
            output_folder(str(tmp_path / name))


@pytest.mark.parametrize(
    "words",
    [
        ["bench", "--size", "abc"],
        ["bench", "--size", "100x100"],
        ["bench", "--threads", "0"],
        ["bench", "--json", "none/x.json"],
        ["eval", "model", "bag", "--json", "none/x.json"],
        ["eval", "model", "bag", "--trajectories", "file"],
        ["train", "bag", "--out", "m", "--json", "none/x.json"],
        ["export", "model", "--out", "file"],
        ["infer", "model", "x.png", "--hfov", "80", "--out", "file"],
        ["synth", "out", "--distortion", "nan"],
        ["synth", "out", "--forward", "nan"],
    ],
)
def test_commands_refuse_in_one_line(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    try:
        status = main(words)
    except SystemExit as leaving:
        status = leaving.code
    assert status in (1, 2)
    shown = capsys.readouterr().err
    wrong = [word for word in words if word.startswith("--")][-1]
    assert wrong in shown
    assert shown.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_device_that_is_not_there_leaves_no_bag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    assert main(["synth", str(tmp_path / "bag"), "--device", "cuda:99"]) == 1
    shown = capsys.readouterr().err
    assert "cuda:99" in shown
    assert shown.count("\n") == 1
    assert not (tmp_path / "bag").exists()


@pytest.mark.parametrize("text", ["640", "640x", "x192", "0x32", "-32x32", "64x64x64", "100x96"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--size: expected WxH in multiples of 32 of 32x32"):
        parse_size(text, 32)


def test_a_size_is_width_and_height() -> None:
    assert parse_size("640X192", 32) == (640, 192)
    assert parse_size("100x96") == (100, 96)
    with pytest.raises(ConfigError, match="of 32x32 to 8192x8192"):
        parse_size("9999x64", 1, 32, 8192)


def test_one_process_writes_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model.training"
    with sole_writer(folder):
        second = sole_writer(folder)
        with pytest.raises(ConfigError, match="another run is writing"):
            second.__enter__()
        assert list(folder.iterdir()) == []
    with sole_writer(folder):
        pass


def test_a_full_disk_leaves_no_part_of_an_export(tiny_model: ModelFolder, tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "from sfm_depth_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["export", str(tiny_model.path), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "free some disk space" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
