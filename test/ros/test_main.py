# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

WORK = """
import sys, time
from sfm_depth_ros.errors import DataError

def returns(stop): return 3
def refuses(stop): raise DataError("no such bag: give a path")
def breaks(stop): return 1 / 0
def lacks(stop): import rclpy.no_such_thing
def lacks_safetensors(stop): raise ModuleNotFoundError("No module", name="safetensors")
def exits(stop): sys.exit(2)
def opens_too_much(stop):
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
    kept = [open("/dev/null") for _ in range(20)]

def waits(stop):
    print("ready", flush=True)
    stop.wait()
    print("clean", flush=True)
    return 0

def hangs(stop):
    print("ready", flush=True)
    time.sleep(60)

def gets_the_signal_itself(stop):
    import signal, threading
    time.sleep(0.5)  # the main thread waits by now
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)  # not the main thread
    stop.wait()
    print("clean", flush=True)
    return 0

def keeps_the_interpreter(stop):
    import ctypes
    from sfm_depth_ros.ros import main
    main.HARD_LIMIT_S = 2.0
    print("ready", flush=True)
    stop.wait()
    ctypes.PyDLL(None).sleep(60)  # a call into C that does not give the interpreter back

def breaks_when_stopped(stop):
    print("ready", flush=True)
    stop.wait()
    raise RuntimeError("the context is gone")
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "work_module.py").write_text(WORK)
    code = "import sys; from sfm_depth_ros.ros import main; main.run_process(sys.argv[1])"
    path = os.pathsep.join([str(tmp_path), *sys.path])

    def run(function):
        return subprocess.Popen(
            [sys.executable, "-c", code, f"work_module:{function}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    return run


@pytest.mark.parametrize(
    ("function", "status", "said"),
    [
        ("returns", 3, ""),
        ("refuses", 1, "error: no such bag: give a path\n"),
        ("exits", 2, ""),
        (
            "opens_too_much",
            1,
            "error: [Errno 24] Too many open files: '/dev/null'; allow the process more open "
            "files: ulimit -n 1024\n",
        ),
    ],
)
def test_status_and_one_line_errors(start, function, status, said):
    process = start(function)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (status, said)


def test_a_bug_is_shown_with_its_trace(start):
    process = start("breaks")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "ZeroDivisionError" in errors


def test_without_ros_the_remedy_is_named(start):
    process = start("lacks")
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "source a ROS 2 installation" in errors
    _, errors = start("lacks_safetensors").communicate(timeout=20)
    assert "pip install safetensors" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("function", ["waits", "hangs", "breaks_when_stopped"])
def test_a_signal_ends_it_within_two_seconds_without_a_trace(start, function, number):
    process = start(function)
    assert process.stdout.readline() == "ready\n"
    sent = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert time.monotonic() - sent < 2.0
    assert (process.returncode, errors) == (0, "")
    assert output == ("clean\n" if function == "waits" else "")


def test_a_signal_that_another_thread_gets_ends_it_too(start):
    """The kernel chooses the thread; Python runs handlers in the main thread alone."""
    process = start("gets_the_signal_itself")
    assert process.communicate(timeout=20) == ("clean\n", "")
    assert process.returncode == 0


def test_a_call_that_keeps_the_interpreter_cannot_keep_the_process(start):
    process = start("keeps_the_interpreter")
    assert process.stdout.readline() == "ready\n"
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and 1.5 < time.monotonic() - sent < 15
    assert "keeps_the_interpreter" in errors  # where it hung


def test_a_hangup_that_nohup_ignores_does_not_end_it(start):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a child inherits
    try:
        process = start("waits")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("clean\n", "")
