# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rules on streams: publishers, types, quality of service, rates, losses, stamps, clocks."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from statistics import median

import numpy as np

from sfm_depth_ros.bags.topics import CAMERA_INFO_TYPES, IMAGE_TYPES, VELOCITY_TYPES
from sfm_depth_ros.errors import kind_of
from sfm_depth_ros.inspection.facts import CAMERA, IMAGE, VELOCITY, Facts, StreamFacts
from sfm_depth_ros.inspection.finding import Finding, problem

FITTING = {IMAGE: IMAGE_TYPES, CAMERA: CAMERA_INFO_TYPES, VELOCITY: VELOCITY_TYPES}
SLOWEST_HZ = {IMAGE: 2.0, VELOCITY: 5.0}  # max_image_gap 0.5 s; max_velocity_gap 0.3 s and room
FAR_CLOCK_S = 1.0
SKEW_S = 0.3  # max_velocity_gap
LATE_S = 1.0  # stamps of messages that arrive together
MUCH_LOST = 0.05
MUCH_REPEATED = 0.1
FEW = 5  # images below which no picture is called frozen
DRIVEN_M = 0.5  # metres likewise
OPTION = {IMAGE: "image", CAMERA: "camera_info", VELOCITY: "odom"}


def stream_findings(facts: Facts) -> Iterator[Finding]:
    """Findings on the three streams and on how they go together."""
    for role in (IMAGE, CAMERA, VELOCITY):
        stream = facts.stream(role)
        if facts.is_live and stream.topic:
            yield from _endpoints(role, stream, facts)
        if stream.is_empty:
            yield from _missing(role, stream, facts)
        else:
            yield from _unusable(role, stream)
            yield from _stamps(role, stream)
            yield from _rate(role, stream)
            if facts.is_live:
                yield from _clock(role, stream, facts)
    yield from _frozen(facts)
    yield from _skew(facts)
    yield from _sim_time(facts)


def _short(type_name: str) -> str:
    return type_name.rpartition("/")[2]


def _missing(role: str, stream: StreamFacts, facts: Facts) -> Iterator[Finding]:
    types = facts.wanted.get(role, FITTING[role])
    if stream.publishers:
        published = {publisher.type_name for publisher in stream.publishers}
        if published.isdisjoint(types):
            return  # named by its type
        large = (
            " that is too large to arrive (sfm-depth doctor; image_transport: compressed)"
            if role == IMAGE
            else ""
        )
        yield problem(
            role,
            f"{stream.topic} has a publisher ({stream.publishers[0].node}), but no message came "
            f"in {facts.seconds:.0f} s",
            f"look at that node: it is stopped, paused, or sends something{large}",
        )
        return
    similar = [name for name, kind in facts.topics.items() if kind in FITTING[role]]
    near = difflib.get_close_matches(stream.topic, similar, n=1, cutoff=0.0)
    remedy = f"remap {OPTION[role]} to it: {OPTION[role]}:={near[0]}" if near else (
        "start the driver" if facts.is_live else "record that topic"
    )  # fmt: skip
    found = f"; {', '.join(sorted(similar))} would fit" if similar else ""
    name = stream.topic or f"a topic for {role}"
    if role == VELOCITY and not similar:
        yield Finding(role, "note", f"nobody publishes {name}: depth alone, no metres", remedy)
        return
    yield problem(role, f"nobody publishes {name}{found}", remedy)


def _endpoints(role: str, stream: StreamFacts, facts: Facts) -> Iterator[Finding]:
    types = facts.wanted.get(role, FITTING[role])
    published = {publisher.type_name for publisher in stream.publishers}
    if published and published.isdisjoint(types):
        option = {IMAGE: "image_transport", VELOCITY: "velocity_source"}.get(role, "")
        known = published & set(FITTING[role])
        yield problem(
            role,
            f"{stream.topic} is {', '.join(map(_short, sorted(published)))}, the node takes "
            f"{', '.join(map(_short, types))}",
            f"set {option} to fit" if known and option else "remap to a topic of that type",
        )
    if len(stream.publishers) > 1:
        names = ", ".join(sorted(publisher.node for publisher in stream.publishers))
        yield problem(
            role,
            f"{stream.topic} has {len(stream.publishers)} publishers ({names}): their messages "
            "alternate",
            "stop one of them, or give each a topic of its own",
        )
    yield from _quality(role, stream)


def _quality(role: str, stream: StreamFacts) -> Iterator[Finding]:
    """Subscriptions that DDS keeps apart from the publishers."""
    for publisher in stream.publishers:
        for subscription in stream.subscriptions:
            if subscription.is_reliable and not publisher.is_reliable:
                kind, value = "reliability", "best_effort"
            elif subscription.is_latched and not publisher.is_latched:
                kind, value = "durability", "volatile"
            else:
                continue
            yield problem(
                role,
                f"{subscription.node} gets nothing from {publisher.node} on {stream.topic}: their "
                f"{kind} does not match",
                f"set {kind} {value} in {subscription.node} (nodes of this package: "
                f"qos_overrides.{stream.topic}.subscription.{kind})",
            )


def _unusable(role: str, stream: StreamFacts) -> Iterator[Finding]:
    kinds: Counter[str] = Counter()
    examples = {}
    for text, count in stream.refused.items():
        kinds[kind_of(text)] += count
        examples[kind_of(text)] = text
    for kind, count in kinds.most_common(2):
        text = examples[kind]
        detail, _, remedy = text.rpartition(": ")
        yield problem(
            role,
            f"{count} of {len(stream.arrivals_ns)} messages on {stream.topic} cannot be used: "
            f"{detail or text}",
            remedy,
        )


def _stamps(role: str, stream: StreamFacts) -> Iterator[Finding]:
    stamps = np.array(stream.stamps_ns)
    if len(stamps) < 2 or role == CAMERA:
        return
    if (stamps == stamps[0]).all():
        yield problem(
            role,
            f"all {len(stamps)} messages on {stream.topic} have the stamp "
            f"{stamps[0] * 1e-9:.3f} s",
            "have the publisher fill header.stamp with the time of measurement",
        )
        return
    steps = np.diff(stamps)
    if falls := int((steps < 0).sum()):
        yield problem(
            role,
            f"stamps on {stream.topic} go back {falls} times, by {-steps.min() * 1e-9:.3f} s at "
            "most",
            "look for a second publisher, a clock that is set (NTP, PTP), or a bag that loops",
        )
    if (again := int((steps == 0).sum())) > MUCH_REPEATED * len(steps):
        yield problem(
            role,
            f"{again} of {len(stamps)} messages on {stream.topic} have the stamp of the one "
            "before",
            "look for a second recorder, bridge or relay of the topic; of two equal stamps one "
            "image is taken",
        )


def _frozen(facts: Facts) -> Iterator[Finding]:
    """One picture again and again while the robot drives; noise alone makes images differ."""
    images = len(facts.image.arrivals_ns)
    stamps = np.array([velocity.stamp_ns for velocity in facts.velocities])
    speeds = [float(np.linalg.norm(velocity.linear)) for velocity in facts.velocities]
    path = float(np.sum(np.clip(np.diff(stamps) * 1e-9, 0.0, 1.0) * speeds[1:]))
    if images >= FEW and facts.frozen > images / 2 and path > DRIVEN_M:
        yield problem(
            IMAGE,
            f"{facts.frozen} of {images} images on {facts.image.topic} are the one before bit by "
            f"bit, while the robot drove {path:.1f} m",
            "restart the camera driver: it repeats its last image",
        )


def _rate(role: str, stream: StreamFacts) -> Iterator[Finding]:
    slowest = SLOWEST_HZ.get(role)
    if slowest is None or len(stream.arrivals_ns) < 2 or stream.span_s < 2.0:
        return
    if stream.rate_hz < slowest:
        yield problem(
            role,
            f"{stream.topic} comes at {stream.rate_hz:.1f} a second, at least {slowest:.0f} are "
            "needed",
            "raise the rate of its publisher"
            + ("" if role == IMAGE else ", or max_velocity_gap")
            + (", or max_image_gap" if role == IMAGE else ""),
        )
    if stream.lost > MUCH_LOST * (stream.lost + len(stream.arrivals_ns)):
        yield problem(
            role,
            f"{stream.lost} of {stream.lost + len(stream.arrivals_ns)} messages on {stream.topic} "
            "were lost in transport",
            "sfm-depth doctor names what keeps large messages back; image_transport: compressed",
        )


def _clock(role: str, stream: StreamFacts, facts: Facts) -> Iterator[Finding]:
    """Compare stamps with the clock of this machine, or with /clock where that is used."""
    if role == CAMERA or facts.clock_publishers:
        return
    if len(set(stream.stamps_ns)) == 1 and len(stream.stamps_ns) > 1:
        return  # named already
    away_s = median(
        (arrival - stamp) * 1e-9
        for arrival, stamp in zip(stream.arrivals_ns, stream.stamps_ns, strict=True)
    )
    if abs(away_s) > FAR_CLOCK_S:
        word = "behind" if away_s > 0 else "ahead of"
        yield problem(
            role,
            f"stamps on {stream.topic} are {abs(away_s):.1f} s {word} this machine's clock",
            "synchronise the clocks (chrony, PTP), have the driver stamp with ROS time, or use "
            "/clock with use_sim_time for a bag or a simulation",
        )


def _skew(facts: Facts) -> Iterator[Finding]:
    """Stamps of image and velocity that arrive at the same time."""
    image, velocity = facts.image, facts.velocity
    if image.is_empty or velocity.is_empty or len(set(velocity.stamps_ns)) == 1:
        return
    if len(set(image.stamps_ns)) == 1:
        return
    away = [
        median((s - a) * 1e-9 for a, s in zip(x.arrivals_ns, x.stamps_ns, strict=True))
        for x in (image, velocity)
    ]
    apart_s = away[0] - away[1]
    if abs(apart_s) > SKEW_S:
        yield problem(
            "clocks",
            f"images are stamped {abs(apart_s):.2f} s {'after' if apart_s > 0 else 'before'} "
            "velocities that arrive with them",
            "have both stamped by one clock at the time of measurement; no pair of images gets a "
            "velocity otherwise",
        )


def _sim_time(facts: Facts) -> Iterator[Finding]:
    for node, uses in sorted(facts.uses_sim_time.items()):
        if facts.clock_publishers and not uses:
            yield problem(
                "clock",
                f"/clock is published, but {node} has use_sim_time false",
                "launch with use_sim_time:=true, or stop the publisher of /clock",
            )
        elif uses and not facts.clock_publishers:
            yield problem(
                "clock",
                f"{node} has use_sim_time true, but nobody publishes /clock",
                "play the bag with --clock, or launch with use_sim_time:=false",
            )
