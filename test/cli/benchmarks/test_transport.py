# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images reach us from a camera that knows nothing of us, and those who know nothing of us."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros

RECEIVE_BUFFER = Path("/proc/sys/net/core/rmem_max")


@pytest.mark.parametrize(
    ("publisher", "subscriber"), [("default", "profile"), ("profile", "default")]
)
def test_large_images_arrive(publisher: str, subscriber: str, tmp_path: Path) -> None:
    from sfm_depth_ros.cli.benchmarks.transport import Pairing, measure_pairing

    if int(RECEIVE_BUFFER.read_text()) < 4_000_000:
        pytest.skip("net.core.rmem_max is too small for raw images over UDP")
    row = measure_pairing(Pairing(publisher, subscriber), tmp_path)
    assert row["sent"] == 100
    assert row["received"] >= 90  # 100 on an idle machine; this one is busy with other tests


def test_every_side_has_an_environment_of_its_own(tmp_path: Path) -> None:
    from sfm_depth_ros.cli.benchmarks.transport import PAIRINGS, SIDES, _environment
    from sfm_depth_ros.cli.demonstration.processes import PROFILE_VARIABLES

    names = ("FASTDDS_BUILTIN_TRANSPORTS", *PROFILE_VARIABLES)
    settings = {
        side: tuple(_environment(side, tmp_path).get(name) for name in names) for side in SIDES
    }
    assert len(set(settings.values())) == len(SIDES)
    assert settings["default"] == (None, None, None)
    assert settings["LARGE_DATA"] == ("LARGE_DATA", None, None)
    assert {
        side for pairing in PAIRINGS for side in (pairing.publisher, pairing.subscriber)
    } == set(SIDES)
    for side in ("profile", "large UDP", "large memory"):
        assert Path(settings[side][1] or "").exists()
