# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands share: models, inference options, recipes, outputs.

Inference options have depth_node's defaults, but for the precision: offline there is time, and
figures shall not depend on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfm_depth_ros.config.schema import DepthNodeConfig, NodeConfig
from sfm_depth_ros.errors import ConfigError
from sfm_depth_ros.share import SHIPPED_MODEL, share_path

if TYPE_CHECKING:
    from sfm_depth_ros.model_folder.folder import ModelFolder

OFFLINE = {"precision": "fp32"}
MODEL_HELP = "model folder, or shipped, or current (the newest that a trainer_node handed over)"
NAMES = ("engine", "precision", "engine_threads", "input_width", "crop")


def add_inference_arguments(parser: argparse.ArgumentParser, further: Sequence[str] = ()) -> None:
    """Declare MODEL, how it is run, and further options of DepthNodeConfig by name."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    fields = DepthNodeConfig.__dataclass_fields__
    for name in (*NAMES, *further):
        _add_option(parser, name, fields[name])


def named_model(text: str) -> ModelFolder:
    """Read a model by its folder, or by ``shipped`` or ``current``; empty = as a node chooses.

    Raises:
        ModelError: It is missing or damaged.
    """
    from sfm_depth_ros.model_folder import folder, history

    if text not in ("", history.SHIPPED, history.CURRENT):
        return folder.read_model_folder(text)
    return history.resolve_model(text, NodeConfig().models_dir, share_path(SHIPPED_MODEL))


def node_config(options: argparse.Namespace, **others: Any) -> DepthNodeConfig:
    """The configuration that the arguments describe.

    Args:
        options: Parsed arguments.
        others: Further fields of DepthNodeConfig.
    """
    values = {name: getattr(options, name) for name in NAMES}
    return DepthNodeConfig(**{**values, "crop": tuple(values["crop"])}, **others)


def _add_option(parser: argparse.ArgumentParser, name: str, field: Any) -> None:
    default = OFFLINE.get(name, field.default)
    several = isinstance(default, tuple)
    kind = type(default[0]) if several else type(default)
    parser.add_argument(
        f"--{name.replace('_', '-')}",
        type=kind,
        default=default,
        help=field.metadata["doc"].replace("%", "%%"),
        choices=field.metadata["choices"],
        nargs=len(default) if several else None,
    )


TEACHER_HELP = (
    "model folder of a larger network, for example an imported Depth Anything V2, whose disparity "
    "teaches shape: sets training.teacher_model, and objective.teacher_weight to 0.111"
)


def teacher_options(teacher: str | None) -> list[str]:
    """Options ``A.B=C`` that ``--teacher MODEL`` stands for."""
    if not teacher:
        return []
    # NimbleD's 0.1 beside a photometric weight of 0.9
    return [f"training.teacher_model={teacher}", "objective.teacher_weight=0.111"]


RECIPES = "config/train"


def parse_network_size(text: str) -> tuple[int, int]:
    """Read the argument ``--size WxH`` before the model is known: what some network takes.

    Raises:
        ConfigError: It is no size in multiples of 14 or of 32.
    """
    try:
        return parse_size(text, 14)
    except ConfigError:
        return parse_size(text, 32)


def parse_size(
    text: str, multiple: int = 1, smallest: int = 1, largest: int = 16384
) -> tuple[int, int]:
    """Read the argument ``--size WxH``.

    Args:
        text: For example ``"640x192"``.
        multiple: Number of pixels that both sides are multiples of.
        smallest: Smallest side.
        largest: Largest side.

    Returns:
        Width and height in pixels.

    Raises:
        ConfigError: It is no such size.
    """
    smallest = max(smallest, multiple)
    sides = [int(side) if side.isdecimal() else 0 for side in text.lower().split("x")]
    if len(sides) == 2 and all(smallest <= n <= largest and n % multiple == 0 for n in sides):
        return sides[0], sides[1]
    multiples = f" in multiples of {multiple}" if multiple > 1 else ""
    raise ConfigError(
        f"--size: expected WxH{multiples} of {smallest}x{smallest} to {largest}x{largest}, "
        f"as in 640x192, got {text!r}"
    )


def recipe_file(text: str) -> Path:
    """Find a recipe.

    Args:
        text: A YAML file, or the name of an installed recipe, for example ``monodepth2``.

    Raises:
        ConfigError: It is neither; the message names the installed ones.
    """
    path = Path(text)
    if path.is_file():
        return path
    folder = share_path(RECIPES)
    named = folder / f"{path.name.removesuffix('.yaml')}.yaml"
    if path.name == text and named.is_file():
        return named
    names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
    raise ConfigError(
        f"--config {text}: no such file, and no recipe of that name; the installed "
        f"recipes are {names}"
    )


def output_file(text: str) -> Path:
    """The type of an argument that names a file to write; its folder must exist."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {path.parent} does not exist; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{path} is not writable; give another name")
    return path


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where there is none, against other processes.

    The kernel lets go of it when this process ends, however it ends.

    Raises:
        ConfigError: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another run is writing {folder}; wait until it has ended, or "
                "choose another --out"
            ) from error
        yield
    finally:
        os.close(held)


def output_folder(text: str) -> Path:
    """The type of an argument that names a folder to write into; it is made when needed."""
    path = Path(text)
    existing = next(part for part in (path, *path.absolute().parents) if part.exists())
    if not existing.is_dir():
        raise argparse.ArgumentTypeError(f"{existing} is a file; give the name of a folder")
    if not os.access(existing, os.W_OK):
        raise argparse.ArgumentTypeError(f"{existing} is not writable; give another folder")
    return path
