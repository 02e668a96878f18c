# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ablation of the optional terms: with and without each, on a rendered drive made for it.

Both sides begin with the weights of ``models/small``, take the same steps on the same snippets,
and are judged on another drive of the same kind.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfm_depth_ros.config.loading import load_config
from sfm_depth_ros.config.schema import RecipeConfig
from sfm_depth_ros.share import find_share
from tools.drives import render_drive
from tools.figures_file import Figures, read_section, write_section
from tools.short_run import ShortRun, measure_run

SIZE, LEARN, JUDGE = "192x64", "--seconds 24", "--seconds 6"
JUDGE_SEED, LEARN_SEEDS = 12, (11, 13, 14, 15)
PLAIN = (
    "training.learning_rate=0.0003", "training.weight_decay=0.0", "training.batch_size=4",
    "training.self_supervised_every=1", "training.width=192", "objective.supervised_weight=0.0",
    "objective.velocity_weight=3.0",
)  # fmt: skip


@dataclass(frozen=True)
class Extra:
    """One term and the drives that are made for it."""

    # Options of `sfm-depth synth` besides length, size and seed; one bag each
    drives: tuple[str, ...]
    # Options of both sides and of others worth knowing, by what they are called
    variants: dict[str, tuple[str, ...]]
    # What is reported: `NAME` of the first drive, or `NUMBER.NAME` of a drive
    figures: tuple[str, ...] = ("abs_rel", "abs_rel_scaled", "depth_scale_ratio")
    lost_scale: float = 1.0  # Depths and translations begin this many times too large
    focal_factor: float = 1.0  # The drives report this many times their true focal length
    places: int = 1  # How many drives of each kind are learnt from


NO_AUTO_MASK = "objective.auto_mask=false"  # it leaves out much of what moves or is hidden, too
FIELD = (NO_AUTO_MASK, "pose.residual_translation=true",
         "objective.residual_sparsity_weight=0.1",
         "objective.residual_smoothness_weight=0.02")  # fmt: skip
ROTATIONS = "objective.rotation_weight=20.0"
NO_ODOMETER = "objective.velocity_weight=0.0"
MEAN = (NO_AUTO_MASK, "objective.reduction=mean")
COMPETITION = (*MEAN, "objective.flow_weight=0.5", "objective.flow_smoothness_weight=0.025",
               "objective.moderation_weight=0.1", "objective.consensus_weight=0.3",
               "training.phase_steps=5")  # fmt: skip
FEATURES = ("objective.feature_weight=0.3",)
EXTRAS = {
    "moving things": Extra(
        ("--style street --movers 12",),
        {
            "without": (NO_AUTO_MASK,),
            "with the residual field": FIELD,
            "with the field and instance masks": (*FIELD, "objective.use_instance_mask=true"),
            "auto-mask instead": (),
            "auto-mask, field and instance masks": (
                *FIELD, "objective.use_instance_mask=true", "objective.auto_mask=true",
            ),
            "competitive collaboration": COMPETITION,
        },
        ("things_abs_rel", "abs_rel", "abs_rel_scaled", "depth_scale_ratio", "moving_iou",
         "flow_iou"),
    ),
    "changing light": Extra(
        ("--style street --exposure-drift 0.5",),
        {
            "without": (),
            "with the encoder's features": FEATURES,
            "with ImageNet features": (*FEATURES, "objective.features=imagenet"),
        },
    ),
    "direct alignment": Extra(
        ("--style street",),
        {
            "without": (),
            "refined from the pose network": ("objective.direct_alignment=refine",
                                              "objective.alignment_weight=0.1"),
            "alone": ("objective.direct_alignment=alone", "objective.alignment_weight=0.1"),
        },
        ("abs_rel", "abs_rel_scaled", "depth_scale_ratio", "rotation_error_deg"),
    ),
    "unknown focal length": Extra(
        ("--style country --weave 1",),  # pixels move by focal length x rotation
        {
            "without": (ROTATIONS,),
            "with learnt intrinsics": (ROTATIONS, "pose.learn_intrinsics=true"),
            "with learnt intrinsics, rotations not measured": ("pose.learn_intrinsics=true",),
        },
        ("focal_ratio", "focal_ratio_y", "abs_rel", "rotation_error_deg"),
        focal_factor=1.25,
    ),
    "stereo pair": Extra(
        ("--style street --stereo",),
        {
            "without, no odometer": (NO_ODOMETER,),
            "with, no odometer": (
                NO_ODOMETER, "objective.stereo_weight=1.0", "objective.left_right_weight=0.1",
            ),
        },
        lost_scale=0.7,
    ),
    "occlusions": Extra(
        ("--style posts --speed 4",),
        {
            "without, mean of sources": MEAN,
            "with splat mask": (*MEAN, "objective.occlusion_mask=splat"),
            "with principled mask": (*MEAN, "objective.principled_mask=true"),
            "minimum of sources instead": (NO_AUTO_MASK,),
        },
        ("hidden_abs_rel", "abs_rel", "abs_rel_scaled"),
    ),
    "near and far": Extra(
        ("--style indoor --speed 0.7", "--style country --speed 10"),
        {
            "without": (),
            "with range normalisation": (  # about the same weight on average: ranges are metres
                "objective.normalise_range=true", "objective.velocity_weight=15.0",
            ),
        },
        ("0.abs_rel", "0.depth_scale_ratio", "0.translation_scale_ratio", "1.abs_rel",
         "1.depth_scale_ratio", "1.translation_scale_ratio"),
        places=4,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ExtraSetting:
    """Length and place of every side's training."""

    steps: int = 400
    threads: int = 1  # of the CPU
    device: str = "cpu"
    flow: Path | None = None  # weights that flow begins with; None = random


def measure_extra(name: str, variant: str, setting: ExtraSetting, scratch: Path) -> dict[str, Any]:
    """Train one side; figures by name.

    Args:
        name: Of :data:`EXTRAS`.
        variant: One of its variants.
        setting: How long, where.
        scratch: Folder for drives and prepared snippets.
    """
    extra = EXTRAS[name]
    camera = f"--size {SIZE} --reported-focal-factor {extra.focal_factor:g}"
    drives = [
        render_drive(scratch, f"{style} {LEARN} {camera} --seed {seed}")
        for style in extra.drives
        for seed in LEARN_SEEDS[: extra.places]
    ]
    judges = [
        render_drive(scratch, f"{style} {JUDGE} {camera} --seed {JUDGE_SEED}")
        for style in extra.drives
    ]
    recipe = recipe_of(name, variant, setting)
    return measure_run(
        ShortRun(
            recipe,
            drives[0],
            judges[0],
            scratch,
            find_share("models/small"),
            tuple(drives[1:]),
            tuple(judges[1:]),
            extra.lost_scale,
            extra.focal_factor,
            setting.flow,
        )
    )


def recipe_of(name: str, variant: str, setting: ExtraSetting) -> RecipeConfig:
    """Networks, objective and loop of one side."""
    overrides = [*PLAIN, *EXTRAS[name].variants[variant]]
    recipe: RecipeConfig = load_config(RecipeConfig, None, overrides)
    return dataclasses.replace(
        recipe,
        training=dataclasses.replace(
            recipe.training,
            steps=setting.steps,
            warmup_steps=setting.steps // 20,
            validate_every=setting.steps,
            save_every=10 * setting.steps,
            keep="last",
            threads=setting.threads,
            device=setting.device,
            tensorboard=False,
        ),
    )


def tables(rows: dict[str, dict[str, Any]], standing: str = "") -> str:
    """The figures as Markdown, a table for each extra that was measured whole.

    Args:
        rows: Figures by ``EXTRA: VARIANT``.
        standing: Earlier tables; of what was not measured whole, they stay.
    """
    found = {
        text.split("|")[1].strip(): f"{text}\n"
        for text in standing.strip().split("\n\n")
        if "|" in text
    }
    for name, extra in EXTRAS.items():
        if all(f"{name}: {variant}" in rows for variant in extra.variants):
            found[name] = _table(name, rows)
    return "\n".join(found[name] for name in EXTRAS if name in found)


def figure(found: dict[str, Any], name: str) -> float:
    """One figure by its name in :class:`Extra`."""
    number, _, rest = name.rpartition(".")
    judged = found["judged"][int(number or 0)]
    value: float = judged.get(rest, found.get(rest, float("nan")))
    return value


def _table(name: str, rows: dict[str, dict[str, Any]]) -> str:
    extra = EXTRAS[name]
    lines = [f"| {name} | {' | '.join(extra.figures)} |", "|---|" + "---|" * len(extra.figures)]
    for variant in extra.variants:
        if found := rows.get(f"{name}: {variant}"):
            values = " | ".join(f"{figure(found, wanted):.3f}" for wanted in extra.figures)
            lines.append(f"| {variant} | {values} |")
    return "\n".join([*lines, ""])


def main(arguments: list[str] | None = None) -> int:
    """Measure extras, one after another; print the tables, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"default: what has no figures; of {', '.join(EXTRAS)}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="drives, and extras.json with the figures of this and earlier calls",
    )
    parser.add_argument("--variant", action="append", metavar="NAME", help="default: all")
    parser.add_argument("--steps", type=int, default=ExtraSetting.steps)
    parser.add_argument("--threads", type=int, default=ExtraSetting.threads)
    parser.add_argument("--device", default=ExtraSetting.device)
    parser.add_argument("--flow", type=Path, metavar="FILE", help="of tools.flow --save")
    parser.add_argument("--document", type=Path, metavar="FILE", help="put the tables there")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = Figures(options.out / "extras.json")
    setting = ExtraSetting(options.steps, options.threads, options.device, options.flow)
    for name in options.names or EXTRAS:
        for variant in options.variant or EXTRAS[name].variants:
            key = f"{name}: {variant}"
            if options.names or key not in kept.rows:
                kept.add(key, measure_extra(name, variant, setting, options.out))
        print(_table(name, kept.rows), flush=True)
    if options.document:
        standing = read_section(options.document, "extras")
        write_section(options.document, "extras", tables(kept.rows, standing))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
