# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live page: pictures, values, curves and path, filled by a script of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sfm_depth_ros.report import page as html

# Data address of its picture, and the words below it from left to right
ColourBar = tuple[str, Sequence[str]]

PORT = 8642  # of this computer alone
PICTURES = {"image": "image", "depth": "depth", "confidence": "confidence"}
# Facts in the cards: node, key of its diagnostics, label
CARDS = (
    ("depth", "rate_hz", "depth images a second"),
    ("depth", "latency_ms_p50", "latency, ms (median)"),
    ("depth", "depth_scale_ratio", "depth scale ratio"),
    ("depth", "translation_scale_ratio", "translation scale ratio"),
    ("depth", "landmarks", "landmarks"),
    ("training", "state", "trainer"),
    ("training", "steps", "training steps"),
    ("training", "models_deployed", "models deployed"),
)
# Name of a node in the state, its title, and what stands there until something has come
NODES = (
    ("depth", "depth_node", "nothing received yet"),
    ("training", "trainer_node", "nothing received: train:=true of the launch file starts one"),
)
PLOTS = (
    ("scale", "Scale ratios", "depth_scale_ratio translation_scale_ratio"),
    ("loss", "Training losses (logarithmic)", "loss."),
    ("pace", "Images a second, latency in ms", "rate_hz latency_ms_p50"),
)


def live_page(bars: Mapping[str, ColourBar] | None = None) -> str:
    """The page; its script fetches ``state`` and ``picture/NAME`` from where it came.

    Args:
        bars: Colour bars by the name of their picture.
    """
    drawn = {name: html.colour_bar(*bar) for name, bar in (bars or {}).items()}
    figures = "".join(
        f"<figure><img id='picture-{name}' alt='{label}'>{drawn.get(name, '')}"
        f"<figcaption>{label}</figcaption></figure>"
        for name, label in PICTURES.items()
    )
    cards = "".join(
        f"<div class=card><b data-node='{node}' data-key='{key}'>{html.DASH}</b>"
        f"<span>{label}</span></div>"
        for node, key, label in CARDS
    )
    plots = "".join(
        f"<figure class=plot><svg class=curve id='plot-{name}' data-names='{names}'></svg>"
        f"<figcaption>{title}<span class=names></span></figcaption></figure>"
        for name, title, names in PLOTS
    )
    path = (
        "<figure class=plot><svg class=curve id='path'></svg>"
        "<figcaption>Path by ego-motion, metres; up is the first heading</figcaption></figure>"
    )
    curves = html.section("Curves", html.plots([plots, path]))
    facts = "".join(
        f"<section><h2>{title}</h2><p class=text id='message-{node}'>{absent}</p>"
        f"<div class=table><table id='facts-{node}'></table></div></section>"
        for node, title, absent in NODES
    )
    parts = (
        "<p id=banner class=text role=status>connecting</p>",
        f"<div class=cards>{cards}</div>",
        html.section("Pictures", f"<div class='scene live'>{figures}</div>"),
        f"<div class=curves>{curves}</div>",
        f"<div class=facts>{facts}</div>",
        f"<style>{STYLE}</style>",
    )
    return html.page("sfm_depth_ros, live", "", parts, SCRIPT)


STYLE = """
#banner { padding: 8px 12px; border-radius: 8px; background: #fff; border: 1px solid var(--line); }
#banner.warn { background: #fff3bf; } #banner.error { background: #ffe3e3; }
.live { grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
.live figure > img { min-height: 90px; }
.live .bar { margin-top: 5px; }
.live .bar img { border-radius: 3px; }
.card b { font-size: 18px; }
.curves .plots { grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); }
.curve { width: 100%; height: 190px; display: block; background: var(--ground);
  border-radius: 6px; }
.curve text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.names span { display: inline-block; margin-left: 10px; font-weight: 600; }
.facts { display: grid; gap: 0 18px;
  grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); }
.facts td { white-space: normal; overflow-wrap: anywhere; }
.facts td:first-child { white-space: nowrap; }
.facts td:empty::after { content: "-"; color: var(--soft); }
@media (max-width: 600px) {
  .facts td { display: block; text-align: left; padding: 0 2px; border: 0; }
  .facts td:first-child { color: var(--soft); font-size: 12px; padding-top: 5px; }
}
"""

SCRIPT = r"""
"use strict";
const COLOURS = ["#d9480f", "#1864ab", "#2b8a3e", "#862e9c", "#e67700", "#495057"];
const PERIOD_MS = 250, SILENT_S = 4;
const viewer = Math.random().toString(36).slice(2);
let rows = [], rowEnd = 0, path = [], pathEnd = 0, shown = {}, loading = {};
const byId = id => document.getElementById(id);

function make(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  if (text !== undefined) node.textContent = text;
  return node;
}

function merge(known, end, news) {
  return [news.first === end ? known.concat(news.items) : news.items, news.end];
}

function short(value) { return Number(value.toPrecision(3)).toString(); }

function draw(svg, lines, equal) {
  const width = svg.clientWidth || 400, height = svg.clientHeight || 190, edge = 26;
  svg.replaceChildren();
  const points = lines.flatMap(line => line.points);
  if (!points.length) return;
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of points) {
    x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
  }
  let sx = (width - 2 * edge) / (x1 - x0 || 1), sy = (height - 2 * edge) / (y1 - y0 || 1);
  if (equal) sx = sy = Math.min((width - 2 * edge) / Math.max(x1 - x0, 1),
                                (height - 2 * edge) / Math.max(y1 - y0, 1));
  const place = ([x, y]) => [edge + (x - x0) * sx, height - edge - (y - y0) * sy];
  for (const line of lines) {
    if (!line.points.length) continue;
    const text = line.points.map(p => place(p).map(v => v.toFixed(1)).join(",")).join(" ");
    svg.append(make("polyline", {points: text, fill: "none", stroke: line.colour,
                                 "stroke-width": 1.5}));
  }
  const [cx, cy] = place(lines[0].points.at(-1) || points[0]);
  if (equal) svg.append(make("circle", {cx, cy, r: 4, fill: lines[0].colour}));
  const label = lines.log ? v => short(10 ** v) : short;
  svg.append(make("text", {x: 4, y: 14}, label(y1)));
  svg.append(make("text", {x: 4, y: height - 8}, label(y0)));
  const span = make("text", {x: width - 4, y: height - 8, "text-anchor": "end"},
                    equal ? short(x1 - x0) + " m wide" : short(x1 - x0) + " s");
  svg.append(span);
}

function curves(svg) {
  const wanted = svg.dataset.names.split(" "), isLog = wanted[0] === "loss.";
  const names = [...new Set(rows.flatMap(Object.keys))].filter(
    name => wanted.some(w => w.endsWith(".") ? name.startsWith(w) : name === w)).sort();
  const lines = names.map((name, index) => ({
    colour: COLOURS[index % COLOURS.length],
    points: rows.filter(row => name in row && (!isLog || row[name] > 0))
                .map(row => [row.seconds, isLog ? Math.log10(row[name]) : row[name]])}));
  lines.log = isLog;
  draw(svg, lines, false);
  const legend = svg.parentNode.querySelector(".names");
  legend.replaceChildren(...names.map((name, index) => {
    const word = document.createElement("span");
    word.textContent = name; word.style.color = COLOURS[index % COLOURS.length];
    return word;
  }));
}

function facts(node, entry) {
  byId("message-" + node).textContent = entry.message;
  const table = byId("facts-" + node);
  const cells = Object.entries(entry.facts).map(([key, value]) => {
    const row = document.createElement("tr");
    for (const text of [key, value]) {
      const cell = document.createElement("td");
      cell.textContent = text; row.append(cell);
    }
    row.lastChild.dataset.fact = node + "/" + key;
    return row;
  });
  table.replaceChildren(...cells);
  for (const card of document.querySelectorAll(`b[data-node='${node}']`))
    card.textContent = entry.facts[card.dataset.key] || "-";
}

function banner(nodes, viewers) {
  const depth = nodes.depth, line = byId("banner");
  const silent = !depth || depth.at > SILENT_S;
  line.className = silent || depth.level === 2 ? "text error" : depth.level ? "text warn" : "text";
  line.textContent = !depth ? "no diagnostics of depth_node received yet: does it run, in this " +
      "namespace and this ROS_DOMAIN_ID?"
    : silent ? `depth_node has been silent for ${depth.at.toFixed(0)} s`
    : `depth_node: ${depth.message} (${viewers} viewer${viewers === 1 ? "" : "s"})`;
}

function pictures(numbers) {
  for (const name in numbers) {
    const image = byId("picture-" + name);
    if (!image || loading[name] || shown[name] === numbers[name]) continue;
    loading[name] = true; shown[name] = numbers[name];
    image.onload = image.onerror = () => { loading[name] = false; };
    image.src = `picture/${name}?n=${numbers[name]}&v=${viewer}`;
  }
}

function drawCurves() { document.querySelectorAll("svg[data-names]").forEach(curves); }

function drawPath() {
  draw(byId("path"), [{colour: COLOURS[0], points: path.map(([x, y]) => [-y, x])}], true);
}

async function update() {
  try {
    const reply = await fetch(`state?viewer=${viewer}&rows=${rowEnd}&path=${pathEnd}`);
    const state = await reply.json();
    const isNew = state.rows.items.length, moved = state.path.items.length;
    [rows, rowEnd] = merge(rows, rowEnd, state.rows);
    [path, pathEnd] = merge(path, pathEnd, state.path);
    for (const node in state.nodes) facts(node, state.nodes[node]);
    banner(state.nodes, state.viewers);
    pictures(state.pictures);
    if (isNew) drawCurves();
    if (moved) drawPath();
  } catch (error) {
    byId("banner").className = "text error";
    byId("banner").textContent = "no connection to sfm-depth view; retrying";
  }
  setTimeout(update, document.hidden ? 2000 : PERIOD_MS);
}
window.addEventListener("resize", () => { drawCurves(); drawPath(); });
update();
"""
