"""`python -m benchmarks.scale_document [--write]`: the measured part of `docs/scaling.md`, from `results.json`.

`--write` puts the tables between the marks of the document, and the plot into its file.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.__main__ import RESULTS
from benchmarks.attacks import markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOCUMENT, PLOT = DOCS / "scaling.md", DOCS / "images" / "scaling.svg"
BEGIN = "<!-- figures: written by `python -m benchmarks.scale_document --write`; do not edit -->"
END = "<!-- figures: end -->"


@dataclass(frozen=True)
class Point:
    """A measured round."""

    organizations: int
    size: float
    seconds: float
    megabytes: float

    @property
    def values(self) -> float:
        return self.organizations * self.size


def main() -> int:
    """Print or write; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_document", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    write = parser.parse_args().write
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))
    if write:
        DOCUMENT.write_text(with_figures(DOCUMENT.read_text(encoding="utf-8"), figures(rows)), encoding="utf-8")
        PLOT.write_text(plot(points(rows)), encoding="utf-8")
    else:
        print(figures(rows))
    return 0


def points(rows: Sequence[dict[str, Any]]) -> list[Point]:
    """The rounds of `scale.seconds.*`, small ones first."""
    found = []
    for row in rows:
        shape = re.fullmatch(r"scale\.seconds\.(\d+)x(\S+)", row["name"])
        if shape:
            megabytes = re.match(r"peak ([\d.]+) MB", row["note"])
            assert megabytes is not None, row["note"]
            found.append(Point(int(shape[1]), float(shape[2]), float(row["ours"]), float(megabytes[1])))
    return sorted(found, key=lambda point: (point.values, point.organizations))


def figures(rows: Sequence[dict[str, Any]]) -> str:
    """A table of rounds, and a line for each other row."""
    heading = ("organisations", "parameters", "updates together", "seconds", "MB/s", "peak of the worker")
    table = [
        (
            str(point.organizations),
            f"{point.size:,.0f}",
            f"{point.values * 4 / 1e6:,.0f} MB",
            f"{point.seconds:.1f}",
            f"{point.values * 4 / 1e6 / point.seconds:,.0f}",
            f"{point.megabytes:.0f} MB",
        )
        for point in points(rows)
    ]
    others = [row for row in rows if row["name"].startswith("scale.") and not row["name"].startswith("scale.seconds.")]
    lines = [
        fill(f"- `{row['name']}`: {_figure(row)}; {row['note']}.", 120, subsequent_indent="  ", break_on_hyphens=False)
        for row in others
    ]
    return "\n\n".join([markdown([heading, *table]), "\n".join(lines)])


def _figure(row: dict[str, Any]) -> str:
    own = f"{row['ours']:g} {row['unit']}"
    if row["peer"] is not None:
        return f"{own} against {row['peer']:g} {row['unit']}, ratio {row['ratio']:g}"
    return own if row["limit"] is None else f"{own} (limit {row['limit']:g} {row['unit']})"


def plot(measured: Sequence[Point]) -> str:
    """Seconds and peak memory over the values of a round, both axes logarithmic, as an SVG."""
    low, high = 6, 9  # powers of ten on the axis of values

    def x(point: Point) -> float:
        return round(60 + 360 * (math.log10(point.values) - low) / (high - low), 1)

    def y(value: float) -> float:
        return round(260 - 240 * (math.log10(value) + 1) / 4, 1)  # 0.1 to 1000

    marks = ['<path d="M60 20V260H430" fill="none" stroke="#888"/>']
    marks += [_label(54, y(10.0**power) + 4, f"{10.0**power:g}", "end") for power in range(-1, 4)]
    marks += [_label(60 + 120 * (power - low), 278, f"1e{power}", "middle") for power in range(low, high + 1)]
    marks.append(_label(245, 296, "values of the round (organisations x parameters)", "middle"))
    curves = {
        ("peak memory, MB", "#c60"): [(x(point), y(point.megabytes)) for point in measured],
        ("seconds", "#36c"): [(x(point), y(max(0.1, point.seconds))) for point in measured],
    }
    for (name, color), places in curves.items():
        marks += [f'<circle cx="{left}" cy="{top}" r="4" fill="{color}"/>' for left, top in places]
        marks += [f'<text x="{left}" y="{top - 10}" fill="{color}">{name}</text>' for left, top in places[:1]]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 460 300" font-family="sans-serif" font-size="12">\n'
        "<title>Seconds and peak memory of one worker over the values of a round</title>\n"
        '<rect width="460" height="300" fill="#fff"/>\n' + "\n".join(marks) + "\n</svg>\n"
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


def with_figures(document: str, text: str) -> str:
    """The document with this text between the marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, after = document[: document.index(BEGIN)], document[document.index(END) :]
    return f"{before}{BEGIN}\n\n{text}\n\n{after}"


if __name__ == "__main__":
    sys.exit(main())
