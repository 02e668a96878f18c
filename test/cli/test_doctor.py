# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from sfm_depth_ros.cli import doctor
from sfm_depth_ros.cli.main import main
from sfm_depth_ros.engines.tensorrt import cuda_driver
from sfm_depth_ros.errors import EngineError


def test_small_receive_buffer_names_the_sysctl(tmp_path: Path) -> None:
    setting = tmp_path / "rmem_max"
    setting.write_text("212992\n")
    finding = doctor.check_receive_buffer(setting)
    assert finding.state == "problem"
    assert "sysctl -w net.core.rmem_max=4194304" in finding.remedy
    setting.write_text("4194304\n")
    assert doctor.check_receive_buffer(setting).state == "ok"
    assert doctor.check_receive_buffer(tmp_path / "absent").state == "note"


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        ({}, "note"),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": __file__}, "ok"),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "/nowhere.xml"}, "problem"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, "problem"),
    ],
)
def test_fast_dds_profile(environment: dict[str, str], state: str) -> None:
    assert doctor.check_profile(environment).state == state


@pytest.mark.parametrize(
    ("domain", "state"), [("", "ok"), ("101", "ok"), ("102", "problem"), ("x", "problem")]
)
def test_domain(domain: str, state: str) -> None:
    assert doctor.check_domain({"ROS_DOMAIN_ID": domain}).state == state


def test_models_dir_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert doctor.check_models_dir(tmp_path / "new" / "models").state == "ok"
    assert doctor.check_models_dir(tmp_path / "file" / "models").state == "problem"


def test_missing_shared_memory(tmp_path: Path) -> None:
    assert doctor.check_shared_memory(tmp_path / "absent").state == "problem"


def test_a_machine_that_only_has_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise EngineError("no NVIDIA driver is installed here; install one")

    monkeypatch.setattr(doctor, "is_available", lambda module: module == "tensorrt_rtx")
    monkeypatch.setattr(cuda_driver, "load_cuda", lambda: None)
    assert doctor.check_engines() == doctor.Finding("engines", "ok", "tensorrt")
    monkeypatch.setattr(cuda_driver, "load_cuda", no_driver)
    finding = doctor.check_engines()
    assert finding.state == "problem"
    assert finding.detail.startswith("only tensorrt: no NVIDIA driver")
    monkeypatch.setattr(doctor, "is_available", lambda module: module == "openvino")
    assert doctor.check_engines().state == "ok"
    monkeypatch.setattr(doctor, "is_available", lambda module: False)
    assert "none of tensorrt, openvino" in doctor.check_engines().detail


def test_segments_of_killed_nodes_are_named(tmp_path: Path) -> None:
    assert doctor.check_leftovers(tmp_path).state == "ok"
    segment = tmp_path / "fastrtps_0123456789abcdef"
    segment.write_bytes(bytes(3 << 20))
    lock = tmp_path / f"{segment.name}_el"
    lock.touch()
    os.utime(lock, (0, 0))
    finding = doctor.check_leftovers(tmp_path)
    assert finding.state == "note"
    assert "1 segments of dead processes hold 3 MB" in finding.detail
    assert f"rm {segment} {lock}" in finding.remedy


@pytest.mark.parametrize(("absent", "state"), [("torch", "note"), ("safetensors", "problem")])
def test_missing_packages_are_named_with_what_to_type(
    absent: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "is_available", lambda module: module != absent)
    finding = doctor.check_torch() if absent == "torch" else doctor.check_packages()
    assert finding.state == state
    assert f"pip install {absent}" in finding.detail + finding.remedy


def test_missing_rosbags_are_named_with_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "is_available", lambda module: module != "rosbags")
    finding = doctor.check_packages()
    assert finding.state == "note" and "bags cannot be read" in finding.detail
    assert finding.remedy == "pip install 'rosbags>=0.11,<0.12'"


def test_exit_status_tells_whether_something_must_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = doctor.Finding("this", "note", "fine")
    bad = doctor.Finding("that", "problem", "broken", "mend it")
    monkeypatch.setattr(doctor, "examine", lambda *_: iter([good]))
    assert main(["doctor"]) == 0
    monkeypatch.setattr(doctor, "examine", lambda *_: iter([good, bad]))
    assert main(["doctor"]) == 1
    assert "-> mend it" in capsys.readouterr().out
