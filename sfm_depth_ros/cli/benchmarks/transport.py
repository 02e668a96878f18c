# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many images of 1280x720 rgb8 at 20 Hz arrive in another process, best effort."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sfm_depth_ros.cli.demonstration.processes import ros_environment
from sfm_depth_ros.errors import SfmDepthError

COUNT = 100
LIMIT_S = 90.0


@dataclass(frozen=True)
class Pairing:
    """Who sends to whom, each with Fast DDS defaults or with config/fastdds.xml.

    Attributes:
        publisher: ``"default"`` or ``"profile"``.
        subscriber: The same.
    """

    publisher: str
    subscriber: str


PAIRINGS = (
    Pairing("default", "profile"),  # a camera driver to us: the row that matters most
    Pairing("profile", "default"),  # we to whoever listens
    Pairing("profile", "profile"),
    Pairing("default", "default"),
)


def measure_transport(log_dir: Any) -> dict[str, Any]:
    """Measure every pairing.

    Returns:
        The figures of a camera with Fast DDS defaults sending to us, and all ``rows``.
    """
    rows = []
    for pairing in PAIRINGS:
        rows.append(measure_pairing(pairing, log_dir))
    best = rows[0]
    return {
        "sent": best["sent"], "received": best["received"],
        "latency_ms_p50": best["latency_ms_p50"], "publisher": best["publisher"], "rows": rows,
    }


def measure_pairing(pairing: Pairing, log_dir: Any) -> dict[str, Any]:
    """Send ``COUNT`` images from one process to another."""
    sender = ros_environment(log_dir, with_profile=pairing.publisher == "profile")
    receiver = ros_environment(log_dir, with_profile=pairing.subscriber == "profile")
    receiver["ROS_DOMAIN_ID"] = sender["ROS_DOMAIN_ID"]
    with _start("receive", receiver) as listener, _start("send", sender) as camera:
        sent, received = _result(camera, "sender"), _result(listener, "receiver")
    return {
        "publisher": pairing.publisher, "subscriber": pairing.subscriber, "sent": sent["sent"],
        "received": received["received"], "latency_ms_p50": received["latency_ms_p50"],
    }


def _start(role: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "sfm_depth_ros.nodes.bench_images", role,
               "--count", str(COUNT)]
    return subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def _result(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    try:
        output, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise SfmDepthError(f"the {name} did not end within {LIMIT_S:.0f} s") from error
    if process.returncode != 0:
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        raise SfmDepthError(f"the {name} failed: {last}")
    result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return result
