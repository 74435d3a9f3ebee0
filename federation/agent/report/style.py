"""The report's style sheet: light and dark by the reader's choice, and on paper."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbf9; --card: #ffffff; --ink: #1c1e21; --soft: #5b6168; --line: #e3e4e1; --grid: #ececea;
  --first: #1f66c1; --second: #b4530a; --benign: #8a9097; --missed: #b3261e; --wrong: #8a5fbf;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --card: #1c1f24; --ink: #e8e9ea; --soft: #a2a8b0; --line: #31353c; --grid: #282c32;
    --first: #6ea8f5; --second: #f0954a; --benign: #7f868f; --missed: #f2857b; --wrong: #b896e8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums;
}
header p, figcaption, .note { color: var(--soft); }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .8rem; }
h3 { font-size: .95rem; margin: 0 0 .6rem; font-weight: 600; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .8rem; margin: 0; padding: 0;
}
.tiles div, figure, .card {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; margin: 0;
}
.tiles dt { color: var(--soft); font-size: .82rem; }
.tiles dd { margin: .15rem 0 0; font-size: 1.5rem; font-weight: 600; }
.tiles dd small { display: block; font-size: .78rem; font-weight: 400; color: var(--soft); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); gap: 1rem; }
figcaption { font-size: .82rem; margin-top: .5rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11.5px; fill: var(--soft); }
.grid { stroke: var(--grid); } .axis { stroke: var(--soft); }
.curve { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
.curve.model0 { stroke: var(--first); } .curve.model1 { stroke: var(--second); }
.curve.model1 { stroke-dasharray: 7 4; }
.dot { stroke: var(--card); stroke-width: 1.5; }
.dot.model0, .bar.model0 { fill: var(--first); } .dot.model1, .bar.model1 { fill: var(--second); }
.bar.benign { fill: var(--benign); } .bar.missed { fill: var(--missed); } .bar.wrong { fill: var(--wrong); }
.threshold { stroke: var(--ink); stroke-dasharray: 4 3; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
.card + .card, .plots + .card { margin-top: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
caption { text-align: left; color: var(--soft); padding: 0 0 .5rem; font-size: .84rem; }
th, td { padding: .38rem .7rem .38rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, .facts td, .words td, .words th, .facts th { text-align: left; }
.wrapped td, .facts td, .words td { white-space: normal; overflow-wrap: anywhere; }
thead th { color: var(--soft); font-weight: 500; white-space: normal; vertical-align: bottom; }
tbody th { font-weight: 500; }
.share {
  display: block; padding: .15rem .5rem; border-radius: 5px;
  background: color-mix(in srgb, var(--first) calc(var(--share) * 55%), transparent);
}
.warning { border-left: 4px solid var(--missed); padding: .6rem 1rem; background: var(--card); }
details { margin-top: 1rem; } summary { cursor: pointer; color: var(--soft); }
details > div { margin-top: .8rem; }
@media print {
  body { max-width: none; padding: 0; }
  figure, .card { break-inside: avoid; }
}
"""
