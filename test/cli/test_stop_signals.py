# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The first signal is a wish, a second Ctrl-C a command."""

from __future__ import annotations

import signal

import pytest

from sfm_depth_ros.cli.stop_signals import StopSignals, signals_interrupt


def deliver(number: signal.Signals) -> None:
    """Call the handler as the interpreter would; a real signal could end a test's process."""
    handler = signal.getsignal(number)
    assert callable(handler)
    handler(number, None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_before_patience_a_signal_interrupts_at_once(number: signal.Signals) -> None:
    with StopSignals(), pytest.raises(KeyboardInterrupt):
        deliver(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_after_it_the_first_is_noted(number: signal.Signals) -> None:
    with StopSignals() as signals:
        signals.be_patient()
        assert not signals.is_asked()
        deliver(number)
        assert signals.is_asked()


def test_torchruns_sigterm_after_ctrl_c_is_the_same_wish() -> None:
    with StopSignals() as signals:
        signals.be_patient()
        deliver(signal.SIGINT)
        deliver(signal.SIGTERM)
        assert signals.is_asked()
        with pytest.raises(KeyboardInterrupt):
            deliver(signal.SIGINT)


def test_handlers_go_back_to_whom_they_belonged() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_would_kill_a_command_interrupts_it(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with signals_interrupt(), pytest.raises(KeyboardInterrupt):
            deliver(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_interrupt(), StopSignals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
