# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files: tensors out of ``torch.save`` and safetensors without executing pickled code.

A pickle names callables and has them called while it is read. Here only those that assemble
tensors exist; every other class or function becomes an inert placeholder. Published checkpoints
hold such objects beside their weights: a configuration, an optimiser's state. torch's own
restricted loading (``weights_only``) refuses them even where placeholders are allowed: it fills
plain dictionaries alone, and packnet-sfm's configuration is a subclass.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sfm_depth_ros.errors import ModelError

ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled
WRAPPERS = frozenset({"module", "_orig_mod"})  # parts of names by DataParallel and torch.compile


@dataclass(frozen=True)
class FileContent:
    """Content of a checkpoint file."""

    value: Any  # Its object; tensors are on the CPU, foreign objects are placeholders
    foreign: tuple[str, ...]  # Full names of the classes and functions that placeholders replace


class Placeholder:
    """Replaces any foreign class, function or object: takes every argument, keeps nothing."""

    __slots__ = ()

    def __new__(cls, *_: Any, **__: Any) -> Placeholder:
        """Another one, whatever the arguments."""
        return super().__new__(cls)

    def __call__(self, *_: Any, **__: Any) -> Placeholder:
        """Another one: the result of a foreign method is as foreign."""
        return Placeholder()

    def _ignore(self, *_: Any) -> None:
        """Keep nothing of what a pickle sets or adds."""

    __setstate__ = __setitem__ = append = extend = add = update = _ignore


class _Allowed:
    """A function that a pickle may call, and whose attributes it cannot set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError("the file changes a function of torch")


def _rebuild_parameter(data: Tensor, *_: Any) -> Tensor:
    return data


# By the names that torch.save writes; the storages behind them are torch's own business.
ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "Size"): tuple,
    ("collections", "OrderedDict"): OrderedDict,
}


def load_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a file that holds nothing else.

    Args:
        path: ``.safetensors``, else a file of ``torch.save``.

    Raises:
        ModelError: The file cannot be read or holds more than tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return without_wrappers(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be read as weights ({error}); give a .safetensors file, "
            "or a .pth file that holds tensors alone"
        ) from error
    state = load_file_content(path).value
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise ModelError(
            f"{path} is not a plain set of weights; save the encoder's state_dict "
            "alone and give that file"
        )
    return without_wrappers(state)


def without_wrappers(state: Mapping[str, Any]) -> dict[str, Any]:
    """Entries by their names without the parts that DataParallel and torch.compile add.

    Raises:
        ModelError: Two names differ in such parts alone.
    """
    plain: dict[str, Any] = {}
    for name, entry in state.items():
        own = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        if own in plain:
            raise ModelError(f"the weights hold {own} twice, wrapped and not; save one network")
        plain[own] = entry
    return plain


def load_file_content(path: Path) -> FileContent:
    """Read a file of ``torch.save``, of today's (zip) or of the older format.

    Raises:
        ModelError: It is another kind of file, damaged, or cannot be read.
    """
    foreign: set[str] = set()
    try:
        with path.open("rb") as file:
            _check_kind(path, file)
            # The pickle module given is what makes it safe: it knows no foreign name.
            value = torch.load(
                file,
                map_location="cpu",
                weights_only=False,
                pickle_module=_restricted_pickle(foreign),
            )
    except ModelError:
        raise
    except Exception as error:  # a stranger's file may fail in any manner
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(f"{path} cannot be read ({reason}); download or copy it again") from error
    return FileContent(value, tuple(sorted(foreign)))


def _check_kind(path: Path, file: IO[bytes]) -> None:
    """Let only the two formats reach torch, which knows further and more daring ones."""
    start = file.read(len(LEGACY_START))
    is_zip = start.startswith(ZIP_START)
    if not is_zip and start != LEGACY_START:
        raise ModelError(
            f"{path} is no file of torch.save; give the checkpoint itself, unpacked "
            "if it came in an archive"
        )
    if is_zip:
        with zipfile.ZipFile(file) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
        if "data.pkl" not in names or "constants.pkl" in names:
            raise ModelError(
                f"{path} is a program (TorchScript) or another archive, not a "
                "checkpoint; give the file with the weights"
            )
    file.seek(0)


def _restricted_pickle(foreign: set[str]) -> Any:
    """Replaces the module ``pickle``; names that became placeholders go to ``foreign``."""
    allowed = {
        name: function if isinstance(function, type) else _Allowed(function)
        for name, function in ALLOWED.items()
    }

    class RestrictedUnpickler(pickle.Unpickler):
        def find_class(self, module_name: str, global_name: str) -> Any:
            known = allowed.get((module_name, global_name))
            if known is None:
                foreign.add(f"{module_name}.{global_name}")
                return Placeholder
            return known

    def load(file: IO[bytes], **options: Any) -> Any:
        return RestrictedUnpickler(file, **options).load()

    return SimpleNamespace(Unpickler=RestrictedUnpickler, load=load, __name__="restricted_pickle")
