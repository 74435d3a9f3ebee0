"""The table of `docs/privacy.md` that says which aggregation goes with which protection is the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from federation.aggregation import registry
from federation.errors import IncompatibleProtection
from federation.protection.interface import Combination, Protection
from federation.protection.registry import PROTECTIONS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("## What goes together")[2]
ROWS = dict(re.findall(r"^\| ((?:Fed|Robust)[^|]+) \| yes \| ([^|]+) \|$", SECTION, re.M))


def combinations(row: str) -> list[tuple[str, str | None]]:
    """Method and robust method, as a row names them."""
    method, _, robust = row.partition(": ")
    if robust:
        return [(method, name) for name in robust.split(", ")]
    return [(name, None) for name in method.split(", ")]


def accepted(protection: Protection, method: str, robust: str | None, *, sizes: range, keyless: int = 0) -> list[int]:
    """How many organisations may take part, of the sizes that are tried."""
    params = {registry.ROBUST_METHOD: robust} if robust else {}
    minimum = registry.build(method, params).minimum()
    found = []
    for size in sizes:
        try:
            protection.buckets_for(Combination(method, robust, minimum, size, ("org-a",) * keyless))
        except IncompatibleProtection:
            continue
        found.append(size)
    return found


def test_every_method_is_in_the_table() -> None:
    named = [pair for row in ROWS for pair in combinations(row)]
    assert {robust for _, robust in named} - {None} == set(registry.ROBUST_METHODS)
    assert {method for method, _ in named} == set(registry.METHODS)


@pytest.mark.parametrize("name", ["secagg", "paillier"])
@pytest.mark.parametrize("row", ROWS)
def test_what_the_table_says_of_masked_rounds(name: str, row: str) -> None:
    expected = {
        "3 to 200": range(3, 201),
        "over buckets of 3 to 5: 9": range(9, 301),
        "`incompatible_protection`": range(0),
    }
    (sizes,) = (found for text, found in expected.items() if ROWS[row].startswith(text))
    for method, robust in combinations(row):
        assert accepted(PROTECTIONS[name], method, robust, sizes=range(1, 301)) == list(sizes)
        assert not accepted(PROTECTIONS[name], method, robust, sizes=range(9, 20), keyless=1)


@pytest.mark.parametrize("row", ROWS)
def test_plain_goes_with_everything(row: str) -> None:
    for method, robust in combinations(row):
        assert accepted(PROTECTIONS["plain"], method, robust, sizes=range(1, 10), keyless=1) == list(range(1, 10))
