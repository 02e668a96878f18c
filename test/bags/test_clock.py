# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from sfm_depth_ros.bags.clock import PAUSE_S, StampClock

MS = 1_000_000


def test_a_clock_that_runs_on_changes_nothing():
    clock = StampClock()
    for index in range(50):
        late = 300 * MS if index % 5 == 0 else 0
        clock.watch("image", index * 100 * MS, index * 100 * MS - late)
    assert clock.stretches == 1
    assert clock.continued(77 * MS, 70 * MS) == 70 * MS


def test_a_clock_that_is_set_back_goes_on_behind_all_earlier_stamps():
    clock = StampClock()
    for index in range(100):
        time_ns = index * 100 * MS
        back = 3000 * MS if index >= 50 else 0
        clock.watch("image", time_ns, time_ns - 20 * MS - back)
        clock.watch("odom", time_ns + MS, time_ns - back)
    assert clock.stretches == 2
    assert clock.continued(4900 * MS, 4880 * MS) == 4880 * MS
    pause = round(PAUSE_S * 1e9)
    # the newest stamp before is the odometer's, 4.9 s; the first one after an image's
    assert clock.continued(5000 * MS, 1980 * MS) == 4900 * MS + pause
    assert clock.continued(5001 * MS, 2000 * MS) == 4920 * MS + pause
    # on its way when the clock was set
    assert clock.continued(5002 * MS, 4950 * MS) == 4950 * MS


def test_a_clock_that_is_set_back_twice():
    clock = StampClock()
    for time_s in range(30):
        clock.watch("image", time_s * 10**9, (time_s % 10) * 10**9)
    assert clock.stretches == 3
    stamps = [clock.continued(t * 10**9, (t % 10) * 10**9) for t in range(30)]
    assert stamps == sorted(stamps)
    assert stamps[20] - stamps[19] == stamps[10] - stamps[9] == PAUSE_S * 1e9
