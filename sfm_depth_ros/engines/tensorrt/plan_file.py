# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One TensorRT plan in one file, with everything that must be so for it to be used."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

MAGIC = b"sfm_depth_ros plan 1\n"


@dataclass(frozen=True)
class PlanKey:
    """What a plan is for, and what it was built with; a plan serves where all of it is equal."""

    runtime: str  # TensorRT's module and version
    device: str  # Name and compute capability of the GPU, or the capabilities built for
    driver: str  # CUDA version of the driver; empty where there is none
    precision: str  # `"fp32"` or `"fp16"`
    shapes: tuple[tuple[int, ...], ...]  # Input shapes, one optimisation profile each
    graph: str  # SHA-256 of the graph without its weights
    weights: str  # SHA-256 of the weights; empty for a refittable plan, which takes any

    @property
    def slot(self) -> str:
        """Name of the file: what the plan is for. Another version or driver takes its place."""
        purpose = {**asdict(self), "runtime": self.runtime.split()[0], "driver": ""}
        return hashlib.sha256(json.dumps(purpose).encode()).hexdigest()[:32]

    def differences(self, other: dict[str, object]) -> str:
        """What of a stored key is not as it should be, for people; empty where it fits."""
        mine = json.loads(json.dumps(asdict(self)))
        return ", ".join(
            f"{name} {other.get(name)} instead of {value}"
            for name, value in mine.items()
            if other.get(name) != value
        )


@dataclass(frozen=True)
class StoredPlan:
    """A plan as it was read."""

    plan: bytes  # Serialised engine
    weights: str  # SHA-256 of the weights that it was built with


class UnusablePlanError(Exception):
    """A plan file is damaged, or of another version; the message says which."""


def write_plan(file: Path, key: PlanKey, stored: StoredPlan) -> None:
    """Write a plan aside, flush it and rename it: readers see a whole file or none.

    Args:
        file: Place of the file; one writer at a time, see ``PlanCache``.
        key: What it is for.
        stored: The plan.

    Raises:
        OSError: The disk is full or the folder not writable.
    """
    header = {
        "key": asdict(key),
        "weights": stored.weights,
        "bytes": len(stored.plan),
        "sha256": hashlib.sha256(stored.plan).hexdigest(),
    }
    aside = file.with_suffix(".writing")  # of a writer that was killed: written over
    try:
        with open(aside, "wb") as stream:
            stream.write(MAGIC + json.dumps(header).encode() + b"\n" + stored.plan)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(file)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def read_plan(file: Path, key: PlanKey) -> StoredPlan | None:
    """Read a plan, if it is whole and for exactly this key.

    Returns:
        The plan, or None where there is no file.

    Raises:
        UnusablePlanError: There is a file that cannot be used.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnusablePlanError(f"cannot be read ({error})") from error
    if not content.startswith(MAGIC):
        raise UnusablePlanError("is damaged or of another kind")
    text, _, plan = content[len(MAGIC) :].partition(b"\n")
    try:
        header = json.loads(text)
        expected, weights, stored_key = header["sha256"], header["weights"], header["key"]
    except (ValueError, KeyError, TypeError) as error:
        raise UnusablePlanError("has a damaged header") from error
    if hashlib.sha256(plan).hexdigest() != expected:
        raise UnusablePlanError(
            f"is damaged ({len(plan)} of {header.get('bytes')} bytes are there or right)"
        )
    if differences := key.differences(stored_key):
        raise UnusablePlanError(f"was built with {differences}")
    return StoredPlan(plan, str(weights))
