# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Share of images (1280x720 rgb8, 20 Hz, best effort) that arrive in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfm_depth_ros.cli.demonstration.processes import PROFILE_VARIABLES, ros_environment
from sfm_depth_ros.errors import SfmDepthError

COUNT = 100
LIMIT_S = 90.0


# Fast DDS settings of a side, by name.
SIDES = ("default", "profile", "large UDP", "large memory", "LARGE_DATA")
_UDP = """<transport_descriptor><transport_id>udp</transport_id><type>UDPv4</type>
<receiveBufferSize>4194304</receiveBufferSize><sendBufferSize>4194304</sendBufferSize>
</transport_descriptor>"""
_MEMORY = """<transport_descriptor><transport_id>memory</transport_id><type>SHM</type>
<segment_size>67108864</segment_size></transport_descriptor>"""
_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com"><profiles>
<transport_descriptors>{descriptors}</transport_descriptors>
<participant profile_name="bench" is_default_profile="true"><rtps>{locators}
<useBuiltinTransports>false</useBuiltinTransports><userTransports>{ids}</userTransports>
</rtps></participant></profiles></dds>
"""
_IDS = {"udp": "<transport_id>udp</transport_id>", "memory": "<transport_id>memory</transport_id>"}
OTHER_PROFILES = {
    "large UDP": _PROFILE.format(
        descriptors=_UDP,
        ids=_IDS["udp"],
        locators="<defaultUnicastLocatorList><locator><udpv4/></locator></defaultUnicastLocatorList>",
    ),
    "large memory": _PROFILE.format(
        descriptors=_UDP + _MEMORY,
        ids=_IDS["memory"] + _IDS["udp"],
        locators="",
    ),
}


@dataclass(frozen=True)
class Pairing:
    """Configuration of sender and receiver."""

    # One of `SIDES`: Fast DDS as it comes, `config/fastdds.xml`, UDP alone with large buffers,
    # shared memory of 64 MB as well, or `LARGE_DATA`
    publisher: str
    subscriber: str  # The same


PAIRINGS = (
    Pairing("default", "profile"),  # a camera driver to us: the row that matters most
    Pairing("profile", "default"),  # we to any subscriber
    Pairing("profile", "profile"),
    Pairing("default", "default"),
    Pairing("default", "large UDP"),
    Pairing("default", "large memory"),
    Pairing("large memory", "default"),
    Pairing("LARGE_DATA", "LARGE_DATA"),
    Pairing("LARGE_DATA", "default"),
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
        "sent": best["sent"],
        "received": best["received"],
        "latency_ms_p50": best["latency_ms_p50"],
        "publisher": best["publisher"],
        "rows": rows,
    }


def measure_pairing(pairing: Pairing, log_dir: Any) -> dict[str, Any]:
    """Send ``COUNT`` images from one process to another."""
    sender = _environment(pairing.publisher, log_dir)
    receiver = _environment(pairing.subscriber, log_dir)
    receiver["ROS_DOMAIN_ID"] = sender["ROS_DOMAIN_ID"]
    with _start("receive", receiver) as listener, _start("send", sender) as camera:
        received = _result(listener, "receiver")
        sent = _sent(camera)
    return {
        "publisher": pairing.publisher,
        "subscriber": pairing.subscriber,
        "sent": sent,
        "received": received["received"],
        "latency_ms_p50": received["latency_ms_p50"],
    }


def _environment(side: str, log_dir: Any) -> dict[str, str]:
    """Environment of one side."""
    environment = ros_environment(log_dir, with_profile=side == "profile")
    if side == "LARGE_DATA":
        environment["FASTDDS_BUILTIN_TRANSPORTS"] = side
    elif side in OTHER_PROFILES:
        file = Path(log_dir) / f"{side.replace(' ', '_')}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(OTHER_PROFILES[side], encoding="utf-8")
        environment |= dict.fromkeys(PROFILE_VARIABLES, str(file))
    return environment


def _sent(camera: subprocess.Popen[str]) -> int:
    """Number of images sent: none where the camera never matched the listener."""
    try:
        return int(_result(camera, "sender")["sent"])
    except SfmDepthError as error:
        if "did not appear" in str(error):
            return 0
        raise


def _start(role: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "sfm_depth_ros.ros.bench_images",
        role,
        "--count",
        str(COUNT),
    ]
    return subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _result(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    try:
        output, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise SfmDepthError(f"the {name} did not end within {LIMIT_S:.0f} s") from error
    if process.returncode != 0:
        last = (errors.strip().splitlines() or ["no output"])[-1]
        raise SfmDepthError(f"the {name} failed: {last}")
    result: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return result
