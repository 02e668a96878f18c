# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window, spoken to by Chromium's DevTools protocol through two pipes."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Path of a browser of this machine."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One tab on one page.

    Args:
        profile: Empty folder for its files.
        size: Width and height of the window.
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1280, 1400)) -> None:
        found = program()
        if found is None:
            pytest.skip(f"no browser is installed ({', '.join(PROGRAMS)})")
        reading, theirs_out = os.pipe()
        theirs_in, self._writing = os.pipe()
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--remote-debugging-pipe", f"--user-data-dir={profile}", "--no-first-run",
            "--disable-background-networking", "--disable-component-update",
            f"--window-size={size[0]},{size[1]}", "--host-resolver-rules=MAP * ~NOTFOUND, "
            "EXCLUDE 127.0.0.1, EXCLUDE localhost", "about:blank",
        ]  # fmt: skip

        def as_3_and_4() -> None:  # the descriptors that the browser reads and writes
            command, answers = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(command, 3)
            os.dup2(answers, 4)

        # Sockets lie there: a path of more than 107 characters would be refused
        self._temporary = tempfile.TemporaryDirectory(prefix="browser", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [found, *arguments], preexec_fn=as_3_and_4, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": self._temporary.name},
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._reading = os.fdopen(reading, "rb", buffering=0)
        self._pending, self._numbers = b"", itertools.count(1)
        self.requested: list[str] = []  # Addresses that pages have fetched
        self.errors: list[str] = []  # Exceptions and messages of scripts
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = None
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, address: str) -> None:
        """Open a page, without waiting for it."""
        self._call("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """Value of an expression in the page."""
        outcome = self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in outcome, outcome
        return outcome["result"].get("value")

    def until(self, script: str, seconds: float = 15.0) -> Any:
        """Wait until an expression is true; its value."""
        end = time.monotonic() + seconds
        while not (value := self.value(script)):
            assert time.monotonic() < end, f"{script} is {value!r}; {self.errors}"
            time.sleep(0.1)
        return value

    def resize(self, width: int, height: int) -> None:
        """Show the page as on a telephone of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, path: Path) -> None:
        """Write a PNG of the whole page."""
        whole = self._call("Page.getLayoutMetrics")["cssContentSize"]
        shot = self._call(
            "Page.captureScreenshot", captureBeyondViewport=True, clip={**whole, "scale": 1}
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(timeout=10)
        self._reading.close()
        os.close(self._writing)
        self._temporary.cleanup()

    def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            more = self._reading.read(1 << 16)
            assert more, "the browser has ended"
            self._pending += more
        text, _, self._pending = self._pending.partition(b"\0")
        event: dict[str, Any] = json.loads(text)
        return event

    def _note(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requested.append(given["request"]["url"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(given["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(given["entry"]["text"])
