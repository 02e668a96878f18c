# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the evaluation's page looks."""

STYLE = """
:root { --ink: #212529; --soft: #6c757d; --line: #dee2e6; --paper: #fff; --ground: #f4f5f7;
  --accent: #d9480f; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 28px 20px 60px; background: var(--ground);
  color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
header h1 { margin: 0; font-size: 26px; font-weight: 650; }
header p { margin: 4px 0 20px; color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 18px 0; }
h2 { margin: 0 0 12px; font-size: 19px; font-weight: 620; }
h3 { margin: 22px 0 6px; font-size: 14px; font-weight: 600; color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px; }
.card b { display: block; font-size: 22px; font-weight: 650; color: var(--accent);
  white-space: nowrap; }
.card span { color: var(--soft); font-size: 13px; }
.table { overflow-x: auto; margin-bottom: 14px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: 13.5px; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: 12.5px; padding: 3px 2px 0; }
.plots { display: grid; grid-template-columns: 1.55fr 1fr 1fr; gap: 14px; align-items: start; }
.plots img, .scene img { display: block; width: 100%; height: auto; }
.scene { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 12px; }
.scene img { border-radius: 6px; background: #000; }
.legend { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; margin-top: 18px; }
.legend img { display: block; width: 100%; height: 12px; border-radius: 6px; }
.legend p { display: flex; justify-content: space-between; margin: 2px 0 0; font-size: 12px;
  color: var(--soft); }
@media (max-width: 900px) { .plots, .scene, .legend { grid-template-columns: 1fr; } }
"""
