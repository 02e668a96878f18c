# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.shipped render | train | run | export``: the shipped model's depth network."""

from __future__ import annotations

import argparse
import logging
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tools.shipped.depth_training import ENCODERS, FROZEN, DepthTraining, TrainingSpec
from tools.shipped.image_cache import CacheSpec, ImageCache
from tools.shipped.whole_run import RunPlan, whole_run

_logger = logging.getLogger("tools.shipped")


def main() -> None:
    """Render a cache, or train on caches."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = _arguments().parse_args()
    torch.set_num_threads(options.threads)
    options.run(options)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    commands = parser.add_subparsers(required=True)
    render = commands.add_parser("render", help="fill a cache; an interrupted filling goes on")
    render.add_argument("cache", type=Path)
    render.add_argument("--images", type=int, default=6000)
    render.add_argument("--size", type=int, nargs=2, default=(512, 160), metavar=("W", "H"))
    render.add_argument("--first-place", type=int, default=0)
    render.add_argument("--minutes", type=float, default=1e6, help="stop after this time")
    render.set_defaults(run=_render)
    train = commands.add_parser("train", help="train the decoder; a kept state goes on")
    train.add_argument("caches", type=Path, nargs="+")
    train.add_argument("--out", type=Path, required=True, help="file of the state")
    train.add_argument("--steps", type=int, default=3000)
    train.add_argument("--minutes", type=float, default=1e6)
    train.add_argument(
        "--falls-with-clock", action="store_true",
        help="the rate falls to its end with the minutes instead of the steps",
    )  # fmt: skip
    train.add_argument("--further-widths", type=int, nargs="*", default=[], metavar="W")
    train.add_argument("--batch-size", type=int, default=12)
    train.add_argument("--style-mixing", type=float, default=0.5)
    train.add_argument("--feature-dropout", type=float, default=0.0)
    train.add_argument("--smallest-window", type=float, default=0.72)
    train.add_argument("--feature-precision", choices=("f32", "bf16"), default="f32")
    train.add_argument("--rate", type=float, default=2e-3)
    train.add_argument("--device", default="cpu")
    _add_network(train)
    train.set_defaults(run=_train)
    whole = commands.add_parser("run", help="render with many processes, then train; goes on")
    whole.add_argument("folder", type=Path)
    whole.add_argument("--minutes", type=float, default=9.0)
    whole.add_argument("--processes", type=int, default=1)
    whole.add_argument("--images", type=int, default=2000, help="of each process, at most")
    whole.add_argument("--device", default="cpu")
    whole.add_argument("--train", default="", help='options of train: --train="--steps 6000"')
    whole.set_defaults(run=_whole)
    export = commands.add_parser("export", help="write the model folder")
    export.add_argument("states", type=Path, nargs="+", help="of one training: averaged")
    export.add_argument("out", type=Path)
    export.add_argument("--pose", type=Path, default=Path("models/small"), metavar="MODEL")
    export.add_argument("--images", type=int, default=6000)
    _add_network(export)
    export.set_defaults(run=_export)
    return parser


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", default="efficientnet_lite0", help="or small")
    parser.add_argument("--encoder", choices=ENCODERS, default=FROZEN)
    parser.add_argument("--decoder-width", type=int, default=16)
    parser.add_argument(
        "--size", type=int, nargs=2, default=(320, 96), metavar=("W", "H"),
        help="of the network's image; height of caches with other proportions: theirs",
    )  # fmt: skip


def _spec(options: argparse.Namespace, **further: Any) -> TrainingSpec:
    width, height = options.size
    return TrainingSpec(
        width=width,
        height=height,
        network=options.network,
        encoder=options.encoder,
        decoder_width=options.decoder_width,
        **further,
    )


def _render(options: argparse.Namespace) -> None:
    width, height = options.size
    spec = CacheSpec(options.images, width, height, first_place=options.first_place)
    until = time.monotonic() + 60 * options.minutes
    for rows in ImageCache(options.cache, spec).fill():
        if time.monotonic() > until:
            break
        if rows % 400 == 0:
            _logger.info("rendered %d of %d images", rows, spec.count)


def _train(options: argparse.Namespace) -> None:
    names = (
        "steps", "batch_size", "rate", "style_mixing", "feature_dropout", "smallest_window",
        "feature_precision", "falls_with_clock",
    )  # fmt: skip
    given = {name: getattr(options, name) for name in names}
    spec = _spec(options, further_widths=tuple(options.further_widths), **given)
    training = DepthTraining(spec, [_open(folder) for folder in options.caches], options.device)
    if options.out.exists():
        training.load(options.out)
    until, total = time.monotonic() + 60 * options.minutes, torch.zeros((), device=options.device)
    for loss in training.run(until):
        total = total + loss
        if training.step % 100 == 0:
            _logger.info("step %d of %d: loss %.4f", training.step, spec.steps, total / 100)
            total.zero_()
        if training.step % 500 == 0:
            training.save(options.out)
    training.save(options.out)


def _whole(options: argparse.Namespace) -> None:
    plan = RunPlan(
        options.folder, options.minutes, options.processes, options.images, device=options.device
    )
    whole_run(plan, shlex.split(options.train))


def _export(options: argparse.Namespace) -> None:
    from tools.shipped.model_export import export_model

    spec = _spec(options, steps=0)
    folder = export_model(options.states, options.pose, options.out, spec, options.images)
    _logger.info("wrote %s", folder.path)


def _open(folder: Path) -> ImageCache:
    count, height, width = np.load(folder / "depths.npy", mmap_mode="r").shape
    return ImageCache(folder, CacheSpec(count, width, height))


if __name__ == "__main__":
    main()
