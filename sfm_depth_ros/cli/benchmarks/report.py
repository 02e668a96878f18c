# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks' figures as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]


def transport_lines(figures: Figures) -> list[str]:
    """One line a pairing of publisher and subscriber."""
    return [
        f"  {row['publisher']:14} -> {row['subscriber']:14} {row['received']:4} of "
        f"{row['sent']}  {milliseconds(row['latency_ms_p50'])}"
        for row in figures["rows"]
    ]


def frame_path_lines(figures: Figures) -> list[str]:
    """The stages of the frame path, and what they add to the bare engines."""
    engines = ", ".join(f"{name}: {engine}" for name, engine in figures["engines"].items())
    return [
        *(f"  {stage:12} {ms:7.2f} ms" for stage, ms in figures["stages_ms_p50"].items()),
        f"  {'total':12} {figures['total_ms_p50']:7.2f} ms, p95 {figures['total_ms_p95']:.2f} ms: "
        f"{figures['overhead_ms']:.2f} ms beside the networks",
        f"  {'bare engines':12} {figures['engine_ms_p50']:7.2f} ms one after the other, total / "
        f"bare = {figures['overhead_ratio']:.2f} ({engines}; depth alone "
        f"{figures['depth_engine_ms_p50']:.2f} ms)",
        f"  {figures['sent']} images sent, {figures['received']:.0f} received, "
        f"{figures['dropped']:.0f} dropped, {figures['published_per_s']:.0f} published a second; "
        f"the node holds {figures['memory_mb']:.0f} MB",
    ]


def engine_lines(figures: Figures) -> list[str]:
    """One line an engine and precision."""
    lines = []
    for name, row in figures.items():
        lines.append(f"  {name:12} {_engine(row)}")
        lines += [
            f"  {'':12} {_engine(one)}"
            for one in row.values()
            if isinstance(one, Mapping) and "latency_ms_p50" in one
        ]
    return lines


def geometry_lines(figures: Figures) -> list[str]:
    """The stages of networks and geometry on one core, and the rate with and without geometry."""
    return [
        *(f"  {stage:15} {ms:6.2f} ms" for stage, ms in figures["core_ms_p50"].items()),
        f"  {'geometry':15} {figures['geometry_ms']:6.2f} ms an image of one core, beside "
        f"{figures['networks_ms']:.2f} ms of the networks",
        *(
            f"  {cores.replace('_', ' '):15} {rate['alone']:4.0f} images/s with the networks "
            f"alone, {rate['with_geometry']:.0f} with geometry"
            for cores, rate in figures["images_per_s"].items()
        ),
    ]


def agreement_lines(figures: Figures) -> list[str]:
    """One line per network, engine and precision that is here."""
    lines = [f"  {figures['frames']} frames, relative error against torch fp32: p50, p99, max"]
    for network in ("depth", "pose"):
        for name, row in figures[network].items():
            if "unavailable" not in row:
                lines.append(
                    f"  {network:6} {name:17} {row['p50']:.1e} {row['p99']:.1e} {row['max']:.1e}"
                )
    return lines


def plain_lines(figures: Figures) -> list[str]:
    """One line a number; those of a group are named GROUP.NUMBER."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines += plain_lines({f"{name}.{part}": number for part, number in value.items()})
        elif isinstance(value, (int, float)):
            lines.append(f"  {name:30} {value:.4g}")
    return lines


def milliseconds(value: float | None) -> str:
    """Six columns and the unit; a dash where nothing was measured."""
    return "     - ms" if value is None else f"{value:6.1f} ms"


def _engine(row: Figures) -> str:
    if "unavailable" in row:
        return str(row["unavailable"])
    error = row["relative_error"]
    who = f"{row['engine']} {row['precision']}"
    gain = f", {row['speedup']:.1f} times eager torch" if "speedup" in row else ""
    return (
        f"{who:17} {milliseconds(row['latency_ms_p50'])} (p95 {row['latency_ms_p95']:.1f}, "
        f"min {row['latency_ms_min']:.1f}) {row['frames_per_s']:6.1f} images/s, relative "
        f"error p50 {error['p50']:.0e} p99 {error['p99']:.0e} max {error['max']:.0e}{gain}"
    )
