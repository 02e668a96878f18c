# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tensors out of files of ``torch.save`` without running what such a file may tell to run.

A pickle names callables and has them called while it is read. Here the only ones are those that
put tensors together; every other class or function becomes an inert placeholder. Published
checkpoints hold such things beside their weights: a configuration, an optimiser's state.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import torch
from torch import Tensor

from sfm_depth_ros.errors import ModelError

ZIP_START = b"PK\x03\x04"
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch's magic number, pickled


@dataclass(frozen=True)
class FileContent:
    """What a file held."""

    value: Any  # Its object; tensors are on the CPU, foreign objects are placeholders
    foreign: tuple[str, ...]  # Full names of the classes and functions that placeholders stand for


class Placeholder:
    """Stands for any foreign class, function or object: takes everything, keeps and does nothing.

    It is called, set and filled as the pickle pleases.
    """

    __slots__ = ()

    def __new__(cls, *_: Any, **__: Any) -> Placeholder:
        """Whatever the arguments, another one."""
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Keep nothing."""

    def __call__(self, *_: Any, **__: Any) -> Placeholder:
        """Another one: a foreign method's answer is as foreign."""
        return Placeholder()

    def __setstate__(self, _: Any) -> None:
        """Keep nothing."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Keep nothing."""

    def append(self, _: Any) -> None:
        """Keep nothing."""

    def extend(self, _: Any) -> None:
        """Keep nothing."""

    def add(self, _: Any) -> None:
        """Keep nothing."""

    def update(self, _: Any) -> None:
        """Keep nothing."""


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
    except Exception as error:  # a file of a stranger may fail in any way
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(f"{path} cannot be read ({reason}); download or copy it again") from error
    return FileContent(value, tuple(sorted(foreign)))


def _check_kind(path: Path, file: IO[bytes]) -> None:
    """Let nothing but the two formats come to torch, which knows further and more daring ones."""
    start = file.read(len(LEGACY_START))
    is_zip = start.startswith(ZIP_START)
    if not is_zip and start != LEGACY_START:
        raise ModelError(
            f"{path} is no file of torch.save; give the checkpoint itself, unpacked "
            "if it came in an archive"
        )
    file.seek(0)
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
    """Stands for the module ``pickle``; names of what became a placeholder go to ``foreign``."""
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
