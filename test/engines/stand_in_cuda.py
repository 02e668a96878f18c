# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The CUDA driver's functions on ordinary memory, as late as a real GPU may do its work.

Work that is queued on a stream is done when somebody waits for the stream, not before: what reads
a result too early, or changes an input too early, gets wrong numbers here as it would there.
"""

from __future__ import annotations

import ctypes
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED, INVALID_CONTEXT = 1, 2, 3, 201
CAPTURE_UNSUPPORTED = 900
TEXTS = {
    INVALID_VALUE: b"invalid argument",
    OUT_OF_MEMORY: b"out of memory",
    100: b"no CUDA-capable device is detected",
    CAPTURE_UNSUPPORTED: b"not permitted",
    700: b"an illegal memory access was encountered",
}


class _Function:
    """Takes ``argtypes`` and ``restype`` as ctypes functions do."""

    def __init__(self, function: Callable[..., int]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> int:
        return self._function(*(_plain(argument) for argument in arguments))


def _plain(argument: Any) -> Any:
    if isinstance(argument, ctypes.c_void_p):
        return argument.value or 0
    return getattr(argument, "_obj", argument)  # what byref() points at


class StandInCuda:
    """Answers as ``libcuda`` would; its attributes are the functions.

    Attributes:
        calls: How often each function was called.
        failures: Error code that a function returns, by its name.
        memory: Device and pinned memory that is not freed, by address.
    """

    def __init__(self, name: str = "Stand-in GPU", capability: tuple[int, int] = (8, 9)) -> None:
        self.name, self.capability, self.driver = name, capability, 13000
        self.calls: Counter[str] = Counter()
        self.failures: dict[str, int] = {}
        self.memory: dict[int, Any] = {}
        self.streams: dict[int, list[Callable[[], None]]] = {}
        self.capturing: dict[int, list[Callable[[], None]]] = {}
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.fault = 0  # error code of work that was queued, which comes up when it is waited for
        self._handles = itertools.count(1000)
        self._is_current = False

    def __getattr__(self, name: str) -> _Function:
        if not name.startswith("cu"):
            raise AttributeError(name)
        function = object.__getattribute__(self, f"_{name.removesuffix('_v2')}")

        def checked(*arguments: Any) -> int:
            self.calls[name] += 1
            if name in self.failures:
                return self.failures[name]
            output: int | None = function(*arguments)
            return output or 0

        found = _Function(checked)
        self.__dict__[name] = found
        return found

    def queue(self, stream: int, work: Callable[[], None]) -> None:
        """Let the stream do something later."""
        self.capturing.get(stream, self.streams[stream]).append(work)

    def _cuInit(self, flags: int) -> None:
        assert flags == 0

    def _cuDriverGetVersion(self, version: Any) -> None:
        version.value = self.driver

    def _cuDeviceGet(self, device: Any, ordinal: int) -> None:
        device.value = ordinal

    def _cuDeviceGetName(self, text: Any, size: int, device: int) -> None:
        text.value = self.name.encode()[: size - 1]

    def _cuDeviceGetAttribute(self, value: Any, number: int, device: int) -> None:
        value.value = self.capability[{75: 0, 76: 1}[number]]

    def _cuDevicePrimaryCtxRetain(self, context: Any, device: int) -> None:
        context.value = 77

    def _cuCtxSetCurrent(self, context: int) -> int:
        self._is_current = context == 77
        return 0 if self._is_current else INVALID_CONTEXT

    def _cuGetErrorString(self, code: int, text: Any) -> None:
        text.value = TEXTS.get(code, b"unknown error")

    def _cuMemGetInfo(self, free: Any, total: Any) -> None:
        free.value, total.value = 6 << 30, 8 << 30

    def _cuMemAlloc(self, address: Any, size: int) -> int:
        if not self._is_current:
            return INVALID_CONTEXT
        buffer = (ctypes.c_byte * size)(*([0x7F] * size))  # NaN-like until somebody writes
        address.value = ctypes.addressof(buffer)
        self.memory[address.value] = buffer
        return 0

    def _cuMemHostAlloc(self, address: Any, size: int, flags: int) -> int:
        return self._cuMemAlloc(address, size)

    def _cuMemFree(self, address: int) -> int:
        return 0 if self.memory.pop(address, None) is not None else INVALID_VALUE

    _cuMemFreeHost = _cuMemFree

    def _cuMemcpyHtoDAsync(self, target: int, source: int, size: int, stream: int) -> int:
        known = target in self.memory and source in self.memory and stream in self.streams
        if not known or size > min(len(self.memory[target]), len(self.memory[source])):
            return INVALID_VALUE
        self.queue(stream, lambda: ctypes.memmove(target, source, size))  # type: ignore[arg-type]
        return 0

    _cuMemcpyDtoHAsync = _cuMemcpyHtoDAsync

    def _cuStreamCreate(self, stream: Any, flags: int) -> None:
        stream.value = next(self._handles)
        self.streams[stream.value] = []

    def _cuStreamDestroy(self, stream: int) -> int:
        return 0 if self.streams.pop(stream, None) is not None else INVALID_VALUE

    def _cuStreamSynchronize(self, stream: int) -> int:
        if stream in self.capturing:
            return CAPTURE_UNSUPPORTED
        work, self.streams[stream] = self.streams[stream], []
        for step in work:
            step()
        return self.fault

    def _cuStreamBeginCapture(self, stream: int, mode: int) -> None:
        self.capturing[stream] = []

    def _cuStreamEndCapture(self, stream: int, graph: Any) -> None:
        graph.value = next(self._handles)
        self.graphs[graph.value] = self.capturing.pop(stream)

    def _cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: int) -> None:
        executable.value = next(self._handles)
        self.graphs[executable.value] = list(self.graphs[_plain(graph)])

    def _cuGraphLaunch(self, graph: int, stream: int) -> int:
        if graph not in self.graphs:
            return INVALID_VALUE
        self.streams[stream].extend(self.graphs[graph])
        return 0

    def _cuGraphDestroy(self, graph: int) -> int:
        return 0 if self.graphs.pop(graph, None) is not None else INVALID_VALUE

    _cuGraphExecDestroy = _cuGraphDestroy
