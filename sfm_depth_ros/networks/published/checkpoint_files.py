# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of a published checkpoint: found in folders, read, and brought to tensors by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.networks.checkpoint_file import FileContent, load_file_content, without_wrappers
from sfm_depth_ros.networks.published import depth_anything, lite_mono, monodepth2, packnet_sfm

SHOWN = 8  # names in a message; the rest are counted
STATE = "state_dict"  # where packnet-sfm keeps the weights next to its configuration

FORMATS = {
    "packnet-sfm": packnet_sfm.FORMAT,
    "monodepth2": monodepth2.FORMAT,
    "lite-mono": lite_mono.FORMAT,
    "depth-anything-v2": depth_anything.FORMAT,
}

_logger = logging.getLogger(__name__)

Files = Mapping[str, Mapping[str, Any]]  # content by a file's name without its ending


def read_files(paths: Sequence[Path]) -> Files:
    """Weights of every file, by its name without the ending."""
    files: dict[str, dict[str, Any]] = {}
    for path in files_of(paths):
        if path.stem in files:
            raise ModelError(f"{path}: two files are called {path.stem}; give each network once")
        content = _content(path)
        if content.foreign:
            _logger.info(
                "%s holds objects that are not loaded: %s", path.name, some_of(content.foreign)
            )
        files[path.stem] = _weights(path, content)
    return files


def _content(path: Path) -> FileContent:
    if path.suffix != ".safetensors":
        return load_file_content(path)
    try:
        return FileContent(load_file(path), ())
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read ({error}); download or copy it again") from error


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and those of Monodepth2's names in a folder.

    Raises:
        ModelError: There are none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            parts = {
                part
                for layout in FORMATS.values()
                if layout.by_file
                for network in layout.networks.values()
                for part, _ in network.parts
            }
            inside = [path / f"{part}.pth" for part in sorted(parts)]
            found += [file for file in inside if file.is_file()]
            if not any(file.is_file() for file in inside):
                raise ModelError(
                    f"{path} holds none of {', '.join(f.name for f in inside)}; "
                    "give the folder with these files, or the files themselves"
                )
        elif path.is_file():
            found.append(path)
        else:
            raise ModelError(f"{path} does not exist; give a checkpoint's file or folder")
    return found


def _weights(path: Path, content: FileContent) -> dict[str, Any]:
    """The state of a file: tensors, and the numbers that Monodepth2 adds."""
    value = content.value
    if isinstance(value, dict) and isinstance(value.get(STATE), dict):
        value = value[STATE]
    entries = value.items() if isinstance(value, dict) else ()
    state = without_wrappers(
        {
            name: entry.detach() if isinstance(entry, Tensor) else entry
            for name, entry in entries
            if isinstance(name, str) and isinstance(entry, (Tensor, int))
        }
    )
    if not any(isinstance(entry, Tensor) for entry in state.values()):
        raise ModelError(f"{path} holds no weights by name; give a checkpoint with a state_dict")
    return state


def written_size(files: Files) -> tuple[int, int] | None:
    """The image size that Monodepth2 writes with its encoder."""
    for content in files.values():
        width, height = content.get("width"), content.get("height")
        if isinstance(width, int) and isinstance(height, int):
            return width, height
    return None


def tensors_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors of one file by name."""
    return {name: entry for name, entry in content.items() if isinstance(entry, Tensor)}


def tensor_names(files: Files) -> list[str]:
    """Names of the tensors of all files."""
    return [name for content in files.values() for name in tensors_of(content)]


def some_of(names: Any) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    shown, rest = ", ".join(names[:SHOWN]), len(names) - SHOWN
    return (f"{shown} and {rest} more" if rest > 0 else shown) or "nothing"
