# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Server of the live page: on this computer alone, the page, its state, its pictures.

A thread for every connection: a viewer that reads slowly holds its own thread and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.report.live_page import ColourBar, live_page
from sfm_depth_ros.report.live_state import LiveState

HOST = "127.0.0.1"
LOCAL = ("127.0.0.1", "localhost")  # names by which a browser may call this server
CONNECTIONS = 32  # at once; more are refused
PATIENCE_S = 10.0  # seconds that a viewer may take to read what was sent
# The page's own style and script, its own pictures, and nothing from elsewhere
POLICY = (
    "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
)
_logger = logging.getLogger(__name__)


class LiveServer(ThreadingHTTPServer):
    """Serves one state until it is closed."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, state: LiveState, port: int, bars: Mapping[str, ColourBar] | None = None
    ) -> None:
        """Start to serve, in threads of its own.

        Args:
            state: What is shown.
            port: Of the loopback interface; 0 = any that is free.
            bars: Colour bars by the name of their picture.

        Raises:
            SfmDepthError: The port is in use, or is none.
        """
        self.state, self.page = state, live_page(bars).encode()
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._open: set[socket.socket] = set()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", "ports are 0 to 65535")
            raise SfmDepthError(
                f"port {port} cannot be used ({reason}); choose another with --port, or "
                "--port 0 for any that is free"
            ) from error
        threading.Thread(target=self.serve_forever, name="live-page", daemon=True).start()

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def close(self) -> None:
        """Stop to serve, and hang up."""
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection a thread, or refuse it where too many are open."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer that has gone is no error."""
        _logger.debug("viewer %s has gone", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    timeout = PATIENCE_S
    server: LiveServer

    def do_GET(self) -> None:
        """Respond to a request."""
        host = self.headers.get("Host", "").partition(":")[0]
        if host not in LOCAL:  # a name that somebody else's server gave this address
            self._send(HTTPStatus.FORBIDDEN, b"expected localhost\n", "text/plain")
            return
        url = urlsplit(self.path)
        if url.path == "/":
            self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif url.path == "/state":
            self._send_state(parse_qs(url.query))
        elif url.path.startswith("/picture/"):
            self._send_picture(url.path.removeprefix("/picture/"))
        elif url.path == "/favicon.ico":
            self._send(HTTPStatus.NO_CONTENT, b"", "image/x-icon")
        else:
            self._send(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")

    def _send_state(self, query: dict[str, list[str]]) -> None:
        state = self.server.state
        if viewer := query.get("viewer", [""])[0][:40]:
            state.seen_by(viewer)
        known = [_count(query.get(name, ["0"])[0]) for name in ("rows", "path")]
        self._send(HTTPStatus.OK, json.dumps(state.snapshot(*known)).encode(), "application/json")

    def _send_picture(self, name: str) -> None:
        picture = self.server.state.picture(name)
        if picture is None:
            self._send(HTTPStatus.NOT_FOUND, b"no picture yet\n", "text/plain")
            return
        try:
            data = picture.encoded()
        except SfmDepthError as error:  # a damaged image; the next one may be whole
            self._send(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}\n".encode(), "text/plain")
            return
        self._send(HTTPStatus.OK, data, "image/jpeg")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""
        _logger.debug(format, *args)


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0
