# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``sfm-depth``: one module per sub-command, imported only when it is used."""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from sfm_depth_ros import __version__
from sfm_depth_ros.cli.stop_signals import signals_interrupt
from sfm_depth_ros.errors import SfmDepthError
from sfm_depth_ros.share import ensure_home

COMMANDS = {
    "info": "engines and devices found, versions, the model a node would start with",
    "synth": "render a drive as a rosbag2 with exact ground truth",
    "train": "train a model from bags",
    "adapt": "a model of your own from bags of your robot, within minutes",
    "eval": "measure a model on bags with ground truth or odometry",
    "replay": "write depth and ego-motion of a bag back into a bag, no ROS running",
    "infer": "depth of single images",
    "export": "write a model's graphs for an engine",
    "import": "make a model of a published checkpoint",
    "bench": "measure transport, frame path, engines and the training step",
    "play": "publish a bag as ROS topics where ros2 bag is not installed",
    "view": "serve a live page of both nodes on this computer, for a browser",
    "demo": "play a drive to both nodes and report how the depth gets better",
    "doctor": "find what would lose frames or make nodes fail, here, live or in a bag",
    "completion": "print a script that completes commands and options in bash or zsh",
}
MODULES = {"import": "import_model"}  # where Python has taken the command's own name
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INTERRUPTED = 130  # what a shell reports of a program that SIGINT ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command.

    Args:
        arguments: Command line without the program's name; None = the process's own.

    Returns:
        Exit status: 0 on success, 1 on an error that the user can mend, 130 when interrupted.
    """
    ensure_home()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["play"]:
        words.insert(1, "--")  # every option after it is bag_player's own
    try:
        options = _build_parser(words).parse_args(words)
        level = logging.DEBUG if options.verbose else logging.INFO
        logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
        with signals_interrupt():
            return int(options.run(options))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SfmDepthError, OSError) as error:
        is_full = isinstance(error, OSError) and error.errno in FULL
        remedy = "; free some disk space, or write elsewhere" if is_full else ""
        print(f"sfm-depth: error: {' '.join(str(error).split())}{remedy}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Reports errors in one line; the usage is shown by ``--help``."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def _build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Describe every command, and the arguments of the one that ``words`` name."""
    parser = _Parser(
        prog="sfm-depth", description="Metric monocular depth and ego-motion that learns."
    )
    parser.add_argument("--version", action="version", version=f"sfm_depth_ros {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((word for word in words if not word.startswith("-")), None)
    for name, sentence in COMMANDS.items():
        command = commands.add_parser(
            name, help=sentence, description=sentence[0].upper() + sentence[1:]
        )
        if name == chosen:
            _describe(name, command)
    return parser


def every_command() -> dict[str, argparse.ArgumentParser]:
    """Parsers of all commands by name; imports every module."""
    parsers = {name: argparse.ArgumentParser(prog=f"sfm-depth {name}") for name in COMMANDS}
    for name, parser in parsers.items():
        _describe(name, parser)
    return parsers


def _describe(name: str, parser: argparse.ArgumentParser) -> None:
    module = importlib.import_module(f"sfm_depth_ros.cli.{MODULES.get(name, name)}")
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)


if __name__ == "__main__":
    sys.exit(main())
