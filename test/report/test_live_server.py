# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live page: what is served, to whom, at what cost; in a real browser where there is one."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from headless_browser import Browser

from sfm_depth_ros.errors import DataError, SfmDepthError
from sfm_depth_ros.report import live_state
from sfm_depth_ros.report.live_server import CONNECTIONS, LiveServer
from sfm_depth_ros.report.live_state import LiveState
from sfm_depth_ros.report.pictures import bar_source

FACTS = {
    "state": "active", "rate_hz": "19.8", "latency_ms_p50": "7.25", "landmarks": "131",
    "depth_scale_ratio": "1.04217", "depth_scale_ratio_count": "80", "reason": "",
    "translation_scale_ratio": "0.98", "remarks": "<b>not markup</b> & more",
}  # fmt: skip
TRAINING = {"state": "training", "steps": "250", "loss.photometric": "0.11", "loss.velocity": "0"}


class Clock:
    """Time that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def state() -> LiveState:
    return LiveState()


@pytest.fixture
def server(state: LiveState) -> Iterator[LiveServer]:
    served = LiveServer(state, 0)
    yield served
    served.close()


def _get(server: LiveServer, path: str, host: str = "localhost") -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    connection.request("GET", path, headers={"Host": host})
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, content, reply.headers.get("Content-Type", "")


def _colour(red: int) -> np.ndarray:
    return np.full((48, 1280, 3), (red, 0, 200), np.uint8)


def test_it_listens_on_this_computer_alone(server: LiveServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert _get(server, "/", "127.0.0.1:1234")[0] == 200
    assert _get(server, "/", "attacker.example")[0] == 403


def test_a_port_in_use_is_one_sentence_with_a_remedy(server: LiveServer) -> None:
    with pytest.raises(SfmDepthError, match="--port"):
        LiveServer(LiveState(), server.server_address[1])
    for port in (-1, 99999):
        with pytest.raises(SfmDepthError, match=r"0 to 65535.*--port"):
            LiveServer(LiveState(), port)


def test_facts_pass_through_as_they_are(server: LiveServer, state: LiveState) -> None:
    state.add_facts("depth", "publishing", 0, FACTS)
    status, content, kind = _get(server, "/state?viewer=a")
    entry = json.loads(content)["nodes"]["depth"]
    assert (status, kind) == (200, "application/json")
    assert entry["facts"] == FACTS
    assert (entry["message"], entry["level"]) == ("publishing", 0)


def test_history_and_path_come_once(state: LiveState) -> None:
    for step in range(3):
        state.add_facts("depth", "publishing", 0, FACTS | {"rate_hz": str(step)})
        state.add_pose(float(step), 0.0)
        state.add_pose(step + 0.01, 0.0)  # too near
        state.add_pose(float("nan"), float("inf"))
    first = state.snapshot()
    assert [row["rate_hz"] for row in first["rows"]["items"]] == [0.0, 1.0, 2.0]
    assert set(first["rows"]["items"][0]) == {
        "seconds", "rate_hz", "latency_ms_p50", "depth_scale_ratio", "translation_scale_ratio",
    }  # fmt: skip
    assert first["path"]["items"] == [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]
    state.add_pose(3.0, 0.0)
    later = state.snapshot(first["rows"]["end"], first["path"]["end"])
    assert later["rows"]["items"] == []
    assert later["path"] == {"first": 3, "end": 4, "items": [(3.0, 0.0)]}


def test_a_long_history_forgets_its_beginning(
    state: LiveState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_state, "ROWS", 20)
    for step in range(100):
        state.add_facts("depth", "", 0, {"rate_hz": str(step)})
    rows = state.snapshot(5)["rows"]
    assert len(rows["items"]) <= 20
    assert (rows["end"], rows["first"]) == (100, 100 - len(rows["items"]))
    assert rows["items"][-1]["rate_hz"] == 99.0


def test_without_viewers_nothing_is_drawn(state: LiveState) -> None:
    def draw() -> np.ndarray:
        raise AssertionError("drawn")

    for _ in range(100):
        state.put("depth", draw)
    assert state.viewers == 0
    assert state.snapshot()["pictures"] == {"depth": 100}


def test_a_picture_is_encoded_once_for_all_viewers(server: LiveServer, state: LiveState) -> None:
    drawn: list[int] = []

    def draw() -> np.ndarray:
        drawn.append(1)
        return _colour(90)

    assert _get(server, "/picture/depth")[0] == 404
    state.put("depth", draw)
    replies = [_get(server, f"/picture/depth?n=1&v={viewer}") for viewer in "abc"]
    assert len(drawn) == 1
    assert {reply[0] for reply in replies} == {200}
    picture = cv2.imdecode(np.frombuffer(replies[0][1], np.uint8), 1)
    assert picture.shape == (24, 640, 3)  # no wider than the page shows it
    assert picture[0, 0, ::-1].tolist() == pytest.approx([90, 0, 200], abs=4)


def test_a_damaged_image_is_said_and_the_next_is_shown(
    server: LiveServer, state: LiveState
) -> None:
    def damaged() -> np.ndarray:
        raise DataError("expected 48 x 64 pixels, got 7")

    state.put("image", damaged)
    status, content, _ = _get(server, "/picture/image")
    assert (status, content) == (422, b"expected 48 x 64 pixels, got 7\n")
    state.put("image", lambda: _colour(1))
    assert _get(server, "/picture/image")[0] == 200


def test_a_viewer_counts_for_some_seconds() -> None:
    clock = Clock()
    state = LiveState(clock)
    state.seen_by("a")
    clock.now += 3.0
    state.seen_by("b")
    assert state.viewers == 2
    clock.now += 3.0
    assert state.viewers == 1
    clock.now += 3.0
    assert state.viewers == 0


def test_viewers_that_read_nothing_hold_nobody(server: LiveServer, state: LiveState) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2000, 640, 3), np.uint8)
    state.put("depth", lambda: noise)  # more than the kernel buffers
    slow = []
    for _ in range(5):
        sleeper = socket.socket()
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sleeper.connect(server.server_address[:2])
        sleeper.sendall(b"GET /picture/depth HTTP/1.1\r\nHost: localhost\r\n\r\n")
        slow.append(sleeper)
    begun = time.monotonic()
    for _ in range(20):
        state.put("image", lambda: _colour(5))
        assert _get(server, "/state?viewer=quick")[0] == 200
        assert _get(server, "/picture/image")[0] == 200
    assert time.monotonic() - begun < 3.0
    for sleeper in slow:
        sleeper.close()


def test_too_many_connections_are_refused_and_places_come_back(server: LiveServer) -> None:
    idle = [socket.create_connection(server.server_address[:2]) for _ in range(CONNECTIONS)]
    time.sleep(0.2)
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        _get(server, "/state")
    for connection in idle:
        connection.close()
    end = time.monotonic() + 5.0
    while True:
        try:
            assert _get(server, "/state")[0] == 200
            break
        except (ConnectionError, http.client.HTTPException):
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize(
    "path", ["/state?rows=x&path=-1", "/state?rows=99999999999", "/%00", "/.."]
)
def test_odd_requests_break_nothing(server: LiveServer, path: str) -> None:
    assert _get(server, path)[0] in (200, 404)
    assert _get(server, "/state")[0] == 200


def test_empty_facts_bars_and_narrow_screens(
    state: LiveState, browser: Browser, tmp_path: Path
) -> None:
    colours = np.linspace((255, 0, 0), (0, 0, 255), 240).astype(np.uint8)
    server = LiveServer(state, 0, {"depth": (bar_source(colours), ["2 m", "<80 m>"])})
    state.add_facts("depth", "publishing", 0, FACTS)
    for name in ("image", "depth", "confidence"):
        state.put(name, lambda: _colour(50))
    try:
        browser.open(server.address)
        browser.until("document.querySelectorAll('[data-fact]').length")
        browser.until("[...document.images].every(image => image.naturalWidth > 0)")
        bars = "[...document.querySelectorAll('figure .bar')]"
        assert browser.value(f"{bars}.map(bar => bar.parentNode.firstChild.id)") == [
            "picture-depth"
        ]
        assert browser.value(f"{bars}[0].textContent") == "2 m<80 m>"
        assert browser.value(f"{bars}[0].firstChild.naturalWidth") == 240
        dash = "getComputedStyle(document.querySelector(\"[data-fact='depth/{}']\"), '::after')"
        assert browser.value(f"{dash.format('reason')}.content") == '"-"'
        assert browser.value(f"{dash.format('remarks')}.content") == "none"
        assert "train:=true" in browser.value(
            "document.getElementById('message-training').textContent"
        )
        browser.resize(360, 740)
        browser.until("document.documentElement.clientWidth === 360")
        browser.picture(tmp_path / "narrow.png")
        wide = "[...document.querySelectorAll('*')].filter(e => e.scrollWidth > 360)"
        browser.until(f"{wide}.length === 0")
        assert browser.errors == []
    finally:
        server.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    opened = Browser(tmp_path / "profile")
    yield opened
    opened.close()


def test_a_browser_shows_what_the_nodes_said(
    server: LiveServer, state: LiveState, browser: Browser, tmp_path: Path
) -> None:
    for step in range(30):
        facts = FACTS | {"depth_scale_ratio": f"{1 + step / 100:.5f}"}
        state.add_facts("depth", "publishing", 0, facts)
        state.add_facts("training", "training", 0, TRAINING)
        state.add_pose(np.sin(step / 10) * 3, step / 10)
    for name, red in (("image", 250), ("depth", 120), ("confidence", 10)):
        state.put(name, lambda red=red: _colour(red))  # type: ignore[misc]
    browser.open(server.address)
    browser.until("document.querySelectorAll('[data-fact]').length")
    browser.until("[...document.images].every(image => image.naturalWidth === 640)")
    cells = browser.value(
        "Object.fromEntries([...document.querySelectorAll('[data-fact]')]"
        ".map(cell => [cell.dataset.fact, cell.textContent]))"
    )
    expected = {f"depth/{key}": text for key, text in facts.items()}
    assert cells == expected | {f"training/{key}": text for key, text in TRAINING.items()}
    card = "document.querySelector(\"b[data-key='depth_scale_ratio']\").textContent"
    assert browser.value(card) == facts["depth_scale_ratio"]
    assert browser.value("document.querySelectorAll('#plot-scale polyline').length") == 2
    assert browser.value("document.querySelectorAll('#path polyline').length") == 1
    assert "publishing (1 viewer)" in browser.value(
        "document.getElementById('banner').textContent"
    )
    state.add_facts("depth", "no image has come", 2, FACTS | {"rate_hz": "0"})
    browser.until("document.getElementById('banner').className.includes('error')")
    browser.until("document.querySelector(\"b[data-key='rate_hz']\").textContent === '0'")
    assert browser.errors == []
    assert {url.split("?")[0].removeprefix(server.address) for url in browser.requested} <= {
        "", "state", "picture/image", "picture/depth", "picture/confidence", "favicon.ico",
        "about:blank",
    }  # fmt: skip
    browser.picture(tmp_path / "page.png")
    server.close()
    browser.until("document.getElementById('banner').textContent.includes('retrying')")
