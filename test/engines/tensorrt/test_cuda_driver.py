# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of the driver become arrays, numbers, or one line with the remedy."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from engines.stand_in_cuda import StandInCuda

from sfm_depth_ros.engines.tensorrt import cuda_driver
from sfm_depth_ros.engines.tensorrt.cuda_driver import CudaDriver, load_cuda
from sfm_depth_ros.errors import EngineError


def test_says_what_the_gpu_is() -> None:
    driver = CudaDriver(StandInCuda("A GPU", (12, 1)))
    assert (driver.name, driver.capability, driver.version) == ("A GPU", (12, 1), "13.0")
    free, total = driver.memory_bytes()
    assert 0 < free < total


def test_copies_happen_when_they_are_waited_for() -> None:
    library = StandInCuda()
    driver = CudaDriver(library)
    driver.use()
    stream, host = driver.create_stream(), driver.allocate_host((2, 3), np.float32)
    device = driver.allocate(host.nbytes)
    back = driver.allocate_host((2, 3), np.float32)
    host[...] = np.arange(6).reshape(2, 3)
    back[...] = 0
    driver.upload(device, host, stream)
    driver.download(back, device, stream)
    assert not back.any()
    driver.synchronize(stream)
    np.testing.assert_array_equal(back, np.arange(6).reshape(2, 3))
    for array in (host, back):
        driver.free_host(array)
    driver.free(device)
    driver.destroy_stream(stream)
    assert not library.memory and not library.streams


def test_recorded_work_is_done_at_every_launch() -> None:
    library = StandInCuda()
    driver = CudaDriver(library)
    driver.use()
    stream, host = driver.create_stream(), driver.allocate_host((4,), np.float32)
    device, back = driver.allocate(host.nbytes), driver.allocate_host((4,), np.float32)
    recorded: list[int] = []
    with driver.capture(stream, recorded):
        driver.upload(device, host, stream)
        driver.download(back, device, stream)
    for value in (1.0, 2.0):
        host[...] = value
        driver.launch(recorded[0], stream)
        driver.synchronize(stream)
        assert (back == value).all()
    driver.destroy_graph(recorded[0])
    assert not library.graphs


def test_a_capture_that_fails_leaves_the_stream_usable() -> None:
    library = StandInCuda()
    driver = CudaDriver(library)
    driver.use()
    stream = driver.create_stream()
    with pytest.raises(EngineError, match="failed inside"), driver.capture(stream, []):
        raise EngineError("failed inside")
    driver.synchronize(stream)


@pytest.mark.parametrize(
    ("function", "code", "message"),
    [
        ("cuInit", 100, "no CUDA-capable device is detected.*check nvidia-smi"),
        ("cuInit", 803, "restart after the update"),
        ("cuDevicePrimaryCtxRetain", 2, "out of memory.*lower input_width"),
        ("cuDeviceGet", 12345, r"unknown error \(12345\); restart the node"),
    ],
)
def test_errors_are_one_line_with_the_remedy(function: str, code: int, message: str) -> None:
    library = StandInCuda()
    library.failures[function] = code
    with pytest.raises(EngineError, match=f"CUDA {function}: (.*)?{message}"):
        CudaDriver(library)


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libcuda-that-is-not-there.so.1")
    with pytest.raises(EngineError, match=r"no NVIDIA driver is installed here.*engine: openvino"):
        load_cuda()


def test_a_driver_that_lacks_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "LIBRARY", None)  # this program itself: no CUDA in it
    with pytest.raises(EngineError, match=r"lacks a function.*update it"):
        load_cuda()


def test_every_function_is_in_the_header_of_no_other_size() -> None:
    """Handles and addresses are 64 bits wide, whatever the platform's int is."""
    assert ctypes.sizeof(ctypes.c_void_p) == 8
    for name, arguments in cuda_driver._SIGNATURES.items():
        assert name.startswith("cu") and all(arguments)
