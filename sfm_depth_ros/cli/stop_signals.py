# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Signals that end a command: in order, or at the next step of a long one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """In this block SIGTERM and SIGHUP end a command as Ctrl-C does: in order.

    By default they kill at once, and what was half written or started stays. A signal that is
    ignored (nohup), or that somebody else handles, is left alone.
    """
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in numbers:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


class StopSignals:
    """A context in which the first signal is a request to stop, once the work is patient.

    Before :meth:`be_patient` a signal interrupts at once. After it the first one is only noted:
    the work looks at :meth:`is_asked`. A second Ctrl-C interrupts at once.
    """

    def __init__(self) -> None:
        self._is_asked = self._is_patient = self._has_keyed = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        """Listen."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave signals to whom they belonged."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def be_patient(self) -> None:
        """The work promises to look at :meth:`is_asked` often."""
        self._is_patient = True

    def is_asked(self) -> bool:
        """Whether a stop was requested."""
        return self._is_asked

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # torchrun adds a SIGTERM to the terminal's SIGINT: both are one request
        is_impatient = number == signal.SIGINT and self._has_keyed
        self._has_keyed |= number == signal.SIGINT
        self._is_asked = True
        if is_impatient or not self._is_patient:
            raise KeyboardInterrupt
