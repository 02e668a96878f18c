# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Minimal CUDA driver API bindings by ctypes.

Every machine with an NVIDIA driver has this library; neither a CUDA toolkit nor PyTorch is needed.
ctypes releases the interpreter's lock during every call. Streams and addresses are valid in
TensorRT, since both use the device's primary context.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_uint, c_void_p
from typing import Any

import numpy as np

from sfm_depth_ros.errors import EngineError

LIBRARY = "libcuda.so.1"
OUT_OF_MEMORY, NO_DEVICE = 2, 100
MAJOR, MINOR = 75, 76  # of the compute capability, as cuDeviceGetAttribute numbers them
NON_BLOCKING = 1  # a stream that does not wait for the default one
RELAXED = 2  # capture mode: other threads may allocate meanwhile
REMEDIES = {
    OUT_OF_MEMORY: "free GPU memory, lower input_width or set precision: fp16",
    NO_DEVICE: "no NVIDIA GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES, or choose "
    "engine: openvino",
    35: "update the NVIDIA driver",
    803: "restart after the update of the NVIDIA driver",
    999: "restart the machine, or reload the driver's kernel module",
}
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (POINTER(c_char), c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxSetCurrent": (c_void_p,),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemAlloc_v2": (POINTER(c_void_p), c_size_t),
    "cuMemFree_v2": (c_void_p,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (c_void_p, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_void_p, c_size_t, c_void_p),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_uint),
    "cuStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cuGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, ctypes.c_ulonglong),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
}


def load_cuda() -> CudaDriver:
    """The driver of this machine, on its first visible GPU.

    Raises:
        EngineError: There is no driver, no GPU, or they do not work.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise EngineError(
            f"no NVIDIA driver is installed here ({error}); install one, or choose "
            "engine: openvino"
        ) from error
    try:
        return CudaDriver(library)
    except AttributeError as error:
        raise EngineError(
            f"the NVIDIA driver lacks a function ({error}); update it to one of CUDA 12 or newer"
        ) from error


class CudaDriver:
    """Device memory, pinned host memory, streams and graphs.

    Args:
        library: The driver's library, or a stand-in.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        for name, arguments in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, c_int
        self._call("cuInit", 0)
        device = c_int()
        self._call("cuDeviceGet", byref(device), 0)
        self._device = device.value
        self._context = c_void_p()
        self._call("cuDevicePrimaryCtxRetain", byref(self._context), self._device)

    @property
    def name(self) -> str:
        """Name of the GPU."""
        text = ctypes.create_string_buffer(256)
        self._call("cuDeviceGetName", text, len(text), self._device)
        return text.value.decode(errors="replace")

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability of the GPU."""
        return self._attribute(MAJOR), self._attribute(MINOR)

    @property
    def version(self) -> str:
        """Newest CUDA version that the driver supports, for example ``"13.0"``."""
        number = c_int()
        self._call("cuDriverGetVersion", byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def memory_bytes(self) -> tuple[int, int]:
        """Free and total memory of the GPU."""
        self.use()
        free, total = c_size_t(), c_size_t()
        self._call("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value, total.value

    def use(self) -> None:
        """Make the GPU current in the calling thread; required before the other methods."""
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes on the GPU."""
        address = c_void_p()
        self._call("cuMemAlloc_v2", byref(address), max(size, 1))
        return int(address.value or 0)

    def free(self, address: int) -> None:
        """Free memory of :meth:`allocate`."""
        self._call("cuMemFree_v2", address)

    def allocate_host(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Array in pinned memory, which the GPU copies from and to at full speed."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = c_void_p()
        self._call("cuMemHostAlloc", byref(address), max(size, 1), 0)
        buffer = (ctypes.c_byte * size).from_address(int(address.value or 0))
        return np.frombuffer(buffer, dtype).reshape(shape)

    def free_host(self, array: np.ndarray) -> None:
        """Free memory of :meth:`allocate_host`; the array must not be used again."""
        self._call("cuMemFreeHost", array.ctypes.data)

    def create_stream(self) -> int:
        """A new stream on the GPU."""
        stream = c_void_p()
        self._call("cuStreamCreate", byref(stream), NON_BLOCKING)
        return int(stream.value or 0)

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream of :meth:`create_stream`."""
        self._call("cuStreamDestroy_v2", stream)

    def synchronize(self, stream: int) -> None:
        """Wait until all work of the stream is done; raises the errors of that work."""
        self._call("cuStreamSynchronize", stream)

    def upload(self, address: int, array: np.ndarray, stream: int) -> None:
        """Queue a copy to the GPU; ``array`` must not change until the stream is done."""
        self._call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, stream)

    def download(self, array: np.ndarray, address: int, stream: int) -> None:
        """Queue a copy from the GPU; ``array`` is valid once the stream is done."""
        self._call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, stream)

    @contextmanager
    def capture(self, stream: int, into: list[int]) -> Iterator[None]:
        """Record the work that is queued in the block instead of executing it.

        Args:
            stream: Stream to record.
            into: Receives one graph, for :meth:`launch`.
        """
        self._call("cuStreamBeginCapture_v2", stream, RELAXED)
        graph = c_void_p()
        try:
            yield
        finally:
            # Also after an error: a stream in capture accepts no other work.
            self._call("cuStreamEndCapture", stream, byref(graph))
        try:
            executable = c_void_p()
            self._call("cuGraphInstantiateWithFlags", byref(executable), graph, 0)
            into.append(int(executable.value or 0))
        finally:
            self._call("cuGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        """Queue all recorded work at once."""
        self._call("cuGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Destroy a graph of :meth:`capture`."""
        self._call("cuGraphExecDestroy", graph)

    def _attribute(self, number: int) -> int:
        value = c_int()
        self._call("cuDeviceGetAttribute", byref(value), number, self._device)
        return value.value

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code == 0:
            return
        text = c_char_p()
        self._library.cuGetErrorString(code, byref(text))
        reason = (text.value or b"unknown error").decode(errors="replace")
        remedy = REMEDIES.get(code, "restart the node; if it happens again, choose another engine")
        raise EngineError(f"CUDA {function}: {reason} ({code}); {remedy}")
