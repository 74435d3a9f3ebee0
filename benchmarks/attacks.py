"""`python -m benchmarks.attacks [--write]`: every strategy against every attack, as Markdown.

`--write` puts the tables between the marks in `docs/aggregation.md`. The attacks and the training are those of the
tests (`tests.aggregation`), which hold the document to the tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from tests.aggregation.attacks import SITUATIONS, situation
from tests.aggregation.bounds import ROBUST, STRATEGIES, built, stood
from tests.aggregation.training_federation import ROUNDS, f1_after_training

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "aggregation.md"
BEGIN = "<!-- attacks: written by `python -m benchmarks.attacks --write`; do not edit -->"
END = "<!-- attacks: end -->"
COUNT = 20
HOSTILE = 4
NAMES = {
    "hundredfold": "x100",
    "sign_flip": "sign flip x10",
    "noise": "noise",
    "colluders": "colluders",
    "extremes": "extremes",
    "little_is_enough": "little is enough, z = 1",
    "little_is_enough_z": "little is enough, z of the paper",
    "inner_product": "inner product, 1",
    "inner_product_small": "inner product, 0.1",
    "one_coordinate": "one coordinate",
    "billion_samples": "10^9 samples",
    "small_updates": "small updates",
    "label_flip": "label flip",
    "label_flip_boosted": "label flip x10",
}
TRAININGS = (("nobody hostile", 0, 1), ("label flip", HOSTILE, 1), ("label flip x10", HOSTILE, 10))
"""Column, hostile organisations, factor of their updates."""

Row = tuple[str, ...]


def main() -> int:
    """Print or write; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    write = parser.parse_args().write
    tables = text()
    if write:
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8"), tables), encoding="utf-8")
    else:
        print(tables)
    return 0


def text() -> str:
    """Both tables, each below what it shows."""
    error_title = f"Error against the honest mean, in units of its norm; {COUNT} updates, {HOSTILE} of them hostile:"
    bound_title = f"The same, with as many hostile ones of {COUNT} as each strategy stands:"
    trained_title = (
        f"Macro-F1 of the edge classifier after {ROUNDS} rounds of {COUNT} organisations, {HOSTILE} of them hostile; "
        f"how many hostile ones of {COUNT} each strategy stands at most; F1 when as many flip their labels; and how "
        "many colluders it then takes to move the result by more than the honest mean's norm:"
    )
    parts = (
        error_title,
        markdown(errors()),
        bound_title,
        markdown(errors_at_the_bound()),
        trained_title,
        markdown(trained()),
    )
    return "\n\n".join(part if part.startswith("|") else fill(part, 120) for part in parts)


def errors() -> list[Row]:
    """A heading, then a row a strategy: its name and its error under each attack."""
    rounds = [situation(name, COUNT, HOSTILE) for name in SITUATIONS]
    heading = ("strategy", *(NAMES[name] for name in SITUATIONS))
    return [heading] + [
        (name, *(shown(attacked.error(built(name, HOSTILE))) for attacked in rounds)) for name in STRATEGIES
    ]


def errors_at_the_bound() -> list[Row]:
    """The same for every robust strategy at its own bound; the second column says how many hostile ones that are."""
    heading = ("robust strategy", "hostile", *(NAMES[name] for name in SITUATIONS))
    rows = [heading]
    for name in ROBUST:
        hostile = stood(name, COUNT)
        found = (situation(attack, COUNT, hostile).error(built(name, hostile)) for attack in SITUATIONS)
        rows.append((name, str(hostile), *map(shown, found)))
    return rows


def trained() -> list[Row]:
    """A heading, then a row a strategy: its name, the F1 of what it trained, the colluders that it takes."""
    heading = (
        "strategy",
        *(f"F1, {name}" for name, _, _ in TRAININGS),
        "stands (of 20)",
        "F1, as many flip labels",
        "breaks at (colluders)",
    )
    return [heading] + [(name, *f1_row(name), *bound_row(name)) for name in STRATEGIES]


def f1_row(name: str) -> Row:
    strategy = built(name, HOSTILE)
    return tuple(f"{f1_after_training(strategy, hostile=hostile, boost=boost):.2f}" for _, hostile, boost in TRAININGS)


def bound_row(name: str) -> Row:
    stands = stood(name, COUNT)
    strategy = built(name, stands)
    flipped = f"{f1_after_training(strategy, hostile=stands):.2f}" if stands else "-"
    errors_of = {hostile: situation("colluders", COUNT, hostile).error(strategy) for hostile in range(1, COUNT)}
    return (str(stands), flipped, str(min(hostile for hostile, error in errors_of.items() if error > 1)))


def shown(value: float) -> str:
    """Two significant digits, without an exponent."""
    if value < 0.001:
        return "< 0.001"
    digits = f"{value:.1e}"  # rounded to two digits once
    places = max(0, 1 - int(digits.partition("e")[2]))
    return f"{float(digits):.{places}f}"


def markdown(rows: Sequence[Row]) -> str:
    heading, *others = rows
    lines = [heading, ("---", *("---:" for _ in heading[1:])), *others]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def table_in(document: str, heading: Row) -> list[Row]:
    """The rows of the Markdown table whose heading is this one."""
    lines = written(document).splitlines()
    start = lines.index(markdown([heading]).splitlines()[0])
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return [rows[0], *rows[2:]]


def written(document: str) -> str:
    """What stands between the marks.

    Raises:
        ValueError: a mark is missing.
    """
    return document[document.index(BEGIN) + len(BEGIN) : document.index(END)].strip()


def with_tables(document: str, tables: str) -> str:
    """The document with these tables between the marks."""
    before, after = document[: document.index(BEGIN)], document[document.index(END) :]
    return f"{before}{BEGIN}\n\n{tables}\n\n{after}"


if __name__ == "__main__":
    sys.exit(main())
