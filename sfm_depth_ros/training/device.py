# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The torch device of a training, and its half precision."""

from __future__ import annotations

from pathlib import Path

import torch

from sfm_depth_ros.errors import ConfigError

CPU_INFO = Path("/proc/cpuinfo")
CPU_FLAGS = frozenset(("avx512_bf16", "amx_bf16", "bf16"))  # x86, x86 with tiles, Arm


def require_device(name: str) -> torch.device:
    """The device of that name.

    Args:
        name: For example ``"cpu"`` or ``"cuda:0"``.

    Raises:
        ConfigError: There is no such device, or this torch was built without it.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used ({reason}); choose cpu") from error
    return device


def has_fast_bfloat16(device: str, cpu_info: Path = CPU_INFO) -> bool:
    """Whether a device multiplies bfloat16 in hardware.

    Without that, a CPU emulates it and is slower than in float32.

    Args:
        device: A torch device, for example ``"cpu"`` or ``"cuda:0"``.
        cpu_info: Where the kernel lists the processor's abilities.
    """
    if torch.device(device).type == "cuda":
        is_there = torch.cuda.is_available()
        return is_there and torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        words = cpu_info.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not CPU_FLAGS.isdisjoint(words)


def needs_gradient_scaling(device: str) -> bool:
    """Whether half precision is float16 there: small gradients would vanish unless scaled."""
    return autocast_dtype(torch.device(device)) is torch.float16


def autocast_dtype(device: torch.device) -> torch.dtype:
    """Half precision of a device: bfloat16, but float16 on GPUs that lack it in hardware."""
    if device.type == "cuda" and not has_fast_bfloat16(str(device)):
        return torch.float16
    return torch.bfloat16


def uses_bfloat16(mixed_precision: str, device: str) -> bool:
    """Whether the option ``mixed_precision`` (auto, on, off) means half precision on a device."""
    return mixed_precision == "on" or (mixed_precision == "auto" and has_fast_bfloat16(device))
