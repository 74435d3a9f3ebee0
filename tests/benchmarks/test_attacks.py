"""The tables in `docs/aggregation.md` are those that the code gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import attacks
from benchmarks.attacks import BEGIN, DOCUMENT, END, NAMES, Row, markdown, shown, table_in, with_tables, written
from tests.aggregation.attacks import SITUATIONS, TRAINED

TEXT = DOCUMENT.read_text(encoding="utf-8")


def numbers(cells: Row) -> list[float]:
    return [float(cell.removeprefix("< ")) for cell in cells]


@pytest.mark.parametrize("table", [attacks.errors, attacks.errors_at_the_bound])
def test_every_error_is_the_one_of_the_code(table: Callable[[], list[Row]]) -> None:
    """To the two digits that are shown; what was trained in floating point may differ in the second."""
    heading, *rows = table()
    untrained = {NAMES[name] for name in SITUATIONS if name not in TRAINED} | {"hostile"}
    exact = [place for place, name in enumerate(heading) if name in untrained]
    documented = table_in(TEXT, heading)[1:]
    assert [[row[0], *(row[place] for place in exact)] for row in documented] == [
        [row[0], *(row[place] for place in exact)] for row in rows
    ]
    trained = slice(-len(TRAINED), None)
    for there, here in zip(documented, rows, strict=True):
        assert numbers(there[trained]) == pytest.approx(numbers(here[trained]), rel=0.1, abs=0.002)


def test_every_trained_model_is_as_good_as_it_says() -> None:
    heading, *rows = attacks.trained()
    for there, here in zip(table_in(TEXT, heading)[1:], rows, strict=True):
        assert there[0] == here[0]
        assert numbers(there[1:4]) == pytest.approx(numbers(here[1:4]), abs=0.05)
        assert (there[4], there[6]) == (here[4], here[6])
        if here[5] != "-":
            # where training fails, a little decides how far
            assert float(there[5]) == pytest.approx(float(here[5]), abs=0.1)
        else:
            assert there[5] == "-"


def test_every_attack_has_a_name() -> None:
    assert set(NAMES) == set(SITUATIONS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (263.9, "260"),
        (20.06, "20"),
        (9.96, "10"),
        (2.04, "2.0"),
        (0.0996, "0.10"),
        (0.00903, "0.0090"),
        (0.0012, "0.0012"),
        (9e-4, "< 0.001"),
    ],
)
def test_two_digits_are_shown(value: float, text: str) -> None:
    assert shown(value) == text


def test_tables_replace_what_stands_between_the_marks() -> None:
    table = markdown([("a", "b"), ("one", "1")])
    assert table == "| a | b |\n| --- | ---: |\n| one | 1 |"
    document = with_tables(f"before\n{BEGIN}\nold\n{END}\nafter\n", table)
    assert written(document) == table
    assert document == with_tables(document, table)
    assert (document.startswith("before\n"), document.endswith("\nafter\n")) == (True, True)
    assert table_in(document, ("a", "b")) == [("a", "b"), ("one", "1")]
