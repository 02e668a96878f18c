# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Entry points of the processes, which react to SIGINT, SIGTERM and SIGHUP at any moment.

The heavy work (imports, loading, compiling, spinning) runs in a thread beside the main thread,
which only waits: Python runs signal handlers in the main thread alone, so nothing may keep it.
Standard library only, so that the handlers stand before anything is imported.
"""

from __future__ import annotations

import errno
import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
from typing import NoReturn

from sfm_depth_ros import shared_memory
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.share import ensure_home

GRACE_S = 1.2
HARD_LIMIT_S = 10.0  # from a signal to the end of the process, whatever hangs
DONE = b"\0"  # no signal has this number
PIP_NAMES = {
    "torch": "torch onnx onnxscript",
    "safetensors": "safetensors",
    "cv2": "opencv-python-headless",
    "numpy": "numpy",
    "yaml": "pyyaml",
}
LIMITS = {
    errno.EMFILE: "allow the process more open files: ulimit -n 1024",
    errno.ENFILE: "the machine has no open files left: close programs, or raise fs.file-max",
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space",
}
_logger = logging.getLogger(__name__)


class StopEvent(threading.Event):
    """Set when a signal has arrived."""

    # Whether a loop watches it and closes in order; not while modules and models are loaded, when
    # the process need not wait.
    is_served = False


def run_process(target: str) -> NoReturn:
    """Run ``target`` until it returns or a signal arrives; then leave the process.

    The process is left by ``os._exit``: a thread that sits in a compiler or in an inference call
    cannot be interrupted, and finalising the interpreter under it crashes. Shared memory that the
    middleware could not give back because of that is removed here; segments of processes that
    were killed are removed at the start.

    Args:
        target: ``"package.module:function"``; the function takes a ``StopEvent`` and returns the
            exit status.
    """
    # The kernel may hand a signal to any thread, and then no lock that this one waits for is let
    # go; a descriptor that Python's own handler writes to ends the wait whichever thread it was.
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def on_signal(*_: object) -> None:
        # The middleware may hang with the interpreter in its hands; this thread needs neither.
        faulthandler.dump_traceback_later(HARD_LIMIT_S, exit=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, on_signal)  # the terminal, or ssh, has gone
    ensure_home()
    shared_memory.remove_leftovers()
    stop = StopEvent()
    status: list[int] = []
    worker = threading.Thread(
        target=_call, args=(target, stop, status, wake), name="main-work", daemon=True
    )
    worker.start()
    if os.read(woken, 1) != DONE:
        stop.set()
        worker.join(GRACE_S if stop.is_served else 0.0)
        status = [0]
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    shared_memory.remove_own()
    os._exit(status[0])


def _call(target: str, stop: StopEvent, status: list[int], wake: int) -> None:
    code = 1
    try:
        module, _, function = target.partition(":")
        work = getattr(importlib.import_module(module), function)
        stop.is_served = True
        code = work(stop)
    except SfmDepthError as error:
        sys.stderr.write(f"error: {error}\n")
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {_missing(error)}\n")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno in LIMITS:
            sys.stderr.write(f"error: {error}; {LIMITS[error.errno]}\n")
            return
        # What breaks while the process is being taken down is not the user's concern.
        level = logging.DEBUG if stop.is_set() else logging.ERROR
        _logger.log(level, "%s failed", target, exc_info=True)
    finally:
        status.append(code)
        os.write(wake, DONE)


def _missing(error: ModuleNotFoundError) -> str:
    """The remedy for a module that is not installed."""
    module = (error.name or "").split(".")[0]
    if module in ("rclpy", "sensor_msgs", "rcl_interfaces"):
        return (
            f"{error.name} is needed and not installed: source a ROS 2 installation "
            "(. /opt/ros/jazzy/setup.sh), or in a clone of this package: pip install -e .[ros]"
        )
    if module in PIP_NAMES:
        return f"{module} is needed and not installed: pip install {PIP_NAMES[module]}"
    return str(error)


def depth_node() -> None:
    """Run depth_node."""
    run_process("sfm_depth_ros.ros.depth_node:main")


def trainer_node() -> None:
    """Run trainer_node."""
    run_process("sfm_depth_ros.ros.trainer_node:main")


def bag_player() -> None:
    """Play a rosbag2 as ROS topics."""
    run_process("sfm_depth_ros.ros.bag_player:main")


def view() -> None:
    """Serve the live page of both nodes."""
    run_process("sfm_depth_ros.ros.viewer:main")


if __name__ == "__main__":
    ENTRIES = (depth_node, trainer_node, bag_player, view)
    {entry.__name__: entry for entry in ENTRIES}[sys.argv.pop(1)]()
