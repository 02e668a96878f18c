# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a model folder: regular, inside of it, of bounded size, hashed, with finite tensors."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from sfm_depth_ros.errors import ModelError

TENSORS = ".safetensors"
LARGEST_JSON, LARGEST_FILE = 2**20, 2**31  # bytes; no ONNX graph can be larger
LONGEST_PATH = 4096  # characters, Linux' own limit; resolving a longer one takes quadratic time


def resolved(path: Path | str) -> Path:
    """Absolute path without symbolic links.

    Raises:
        ModelError: It is no path: too long, a user that does not exist, a link to itself.
    """
    text = os.fspath(path)
    try:
        if len(text) <= LONGEST_PATH:
            return Path(text).expanduser().resolve()
        reason = f"it has {len(text)} characters, expected at most {LONGEST_PATH}"
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error)
    raise ModelError(f"{text[:80]!r} is not a path ({reason}); give the path of a model folder")


def check_file(folder: Path, name: str, expected: str) -> None:
    """Raise ``ModelError`` unless a listed file has its SHA-256, and tensors if it should."""
    if Path(name).name != name:
        raise damaged(folder, f"model.json lists {name!r}, which is not a plain file name")
    data = read_file(folder, name)
    if sha256(data) != expected:
        raise damaged(folder, f"{name} has another SHA-256 than in model.json")
    if name.endswith(TENSORS):
        for tensor, value in parse_tensors(folder, name, data).items():
            if not np.isfinite(value).all():
                raise damaged(folder, f"{name} holds NaN or infinity in {tensor}")


def read_file(folder: Path, name: str, limit: int = LARGEST_FILE) -> bytes:
    """Content of a file of the folder.

    Raises:
        ModelError: It is missing, a link out of the folder, a pipe or device, or too large.
    """
    path = folder / name
    try:
        if path.resolve().parent != folder.resolve():
            raise damaged(folder, f"{name} is a link out of the folder")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise damaged(folder, f"{name} is not a regular file")
        if status.st_size > limit:
            raise damaged(folder, f"{name} has {status.st_size} bytes, more than {limit}")
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself
        raise damaged(folder, f"{name} is missing or cannot be read ({error})") from error


def parse_tensors(folder: Path, name: str, data: bytes) -> dict[str, np.ndarray]:
    """Tensors of the content of a safetensors file, by name."""
    try:
        return load_tensors(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise damaged(folder, f"{name} holds no tensors ({error})") from error


def damaged(folder: Path, what: str) -> ModelError:
    """Error for a damaged folder, with the remedy."""
    return ModelError(
        f"model folder {folder} is damaged: {what}; copy it again, or remove it "
        "to fall back to another model"
    )


def sha256(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
